/**
 * How instructions to a model are usually put: what is said, in the languages that are known, with a weight. One
 * signal of weight 3 suffices, weaker ones must meet. Patterns are for folded text: small letters, no accents, single
 * spaces. All are linear: what repeats is bounded.
 */

export interface Signal {
  readonly rule: string;
  readonly weight: 1 | 2 | 3;
  /** Global. */
  readonly pattern: RegExp;
}

const signal = (rule: string, weight: Signal["weight"], ...alternatives: string[]): Signal => ({
  rule,
  weight,
  pattern: new RegExp(alternatives.join("|"), "g"),
});

/** Up to so many words between two others. */
const gap = (words: number) => `(?: [^ ]{1,24}){0,${words}} `;

const MODEL = "(?:ai|llms?|language models?|large language models?|ai models?|assistants?|ai[ -](?:assistants?|agents?|tools?|readers?|crawlers?|summari[sz]ers?|systems?|analysts?|bots?)|(?:coding|automated|autonomous|virtual|digital)[ -](?:agents?|assistants?)|agents?|chatbots?|bots?|copilot|gpt|claude|gemini)";
const RULES_EN = "(?:instructions?|prompts?|rules|guidelines?|directions?|directives?|guidance|orders|programming|training|persona|polic(?:y|ies)|restrictions|constraints|commands?|safety (?:settings|filters?|rules|guidelines?|measures)|configuration)";

export const SIGNALS: readonly Signal[] = [
  // to leave aside what was said before
  signal(
    "override",
    3,
    `\\b(?:ignore|disregard|forget|override|bypass|discard|abandon|drop|neglect|overrule|stop following|(?:do not|don't) (?:follow|obey)|no longer (?:follow|bound (?:by|to)))${gap(3)}?(?:previous|prior|earlier|preceding|above|former|your|ur|all|any|original|existing|initial|safety|system)(?: [a-z]{1,12}){0,3} ${RULES_EN}\\b`,
    `\\b(?:ignore|disregard|forget|discard|abandon)${gap(2)}?${RULES_EN} (?:above|before|earlier|you (?:were|have been) (?:given|told)|(?:of|from|by|requested by|given by) (?:your|the) (?:user|developers?|operator|owner|system))`,
    `\\b(?:forget|disregard|ignore) (?:everything|all|anything|what(?:ever)?) (?:that )?(?:you|the (?:developer|operator|user|system)|your (?:operator|developer|user|owner)|was said|has been said)`,
    `\\b(?:your|the) (?:previous |earlier |above |usual |old )?(?:instructions|orders|rules|guidelines|restrictions|policy)(?: [a-z]{1,12}){0,3} (?:are|is) (?:now )?(?:void|cancelled|suspended|lifted|off|outdated|no longer)`,
    `\\b(?:you are|you're) (?:no longer|not) (?:bound|restricted|limited)`,
  ),
  signal("override", 2, `\\b(?:ignore|disregard|forget|override|overrides|bypass)${gap(3)}?(?:instructions|requests?|policy|rules|task|text|message|checks?|reviewers)(?: above| below| requested)?\\b`, `\\bwhatever (?:the|your) (?:policy|developer|operator|user)|\\b(?:rules|approvals|limits) (?:do not|don't) (?:matter|apply|exist)\\b`),
  signal(
    "override",
    3,
    // German
    `\\b(?:ignorier(?:e|en sie|t)?|missachte(?:n sie)?|vergiss|vergessen sie|vergesst|ubergehe(?:n sie)?|umgehe(?:n sie)?|verwirf)${gap(3)}?(?:alle|alles|deine[nr]?|eure|ihre|bisherigen|vorherigen|vorigen|obigen|fruheren)(?: [a-z]{1,16}){0,2} (?:anweisung(?:en)?|regeln|vorgaben|instruktionen|befehle|richtlinien|anordnungen|vorher|bisher|gesagt)`,
    `\\b(?:missachte|ignoriere|vergiss),? (?:alles|deine (?:regeln|anweisungen|vorgaben)|was (?:dir|vorher))`,
    `\\b(?:vorgaben|regeln|anweisungen|sicherheitsrichtlinien|richtlinien) (?:gelten nicht mehr|sind (?:ausser|außer) kraft|sind aufgehoben und du)`,
    // French
    `\\b(?:ignore[zr]?|oublie[zr]?|neglige[zr]?|ne (?:tiens|tenez) pas compte (?:de|du|des))${gap(2)}?(?:instructions|consignes|regles|reglement|directives)\\b(?! de montage)(?: (?:precedentes?|ci-dessus|anterieures|que (?:tu|vous)|du systeme|initiales))`,
    `\\bannule(?: et remplace)? tes (?:regles|instructions|consignes)`,
    // Spanish, Portuguese, Italian
    `\\b(?:ignora|ignore|ignorad|olvida|olvide|descarta|descarte|no hagas caso de|desobedece)${gap(3)}?(?:instrucciones|reglas|normas|ordenes|directrices)(?: (?:anteriores|previas|de arriba|del sistema|que)|\\.|,|$)`,
    `\\b(?:olvida|ignora|descarta) (?:tus (?:reglas|instrucciones|normas)|todo lo que|lo que te)`,
    `\\b(?:ignore|esqueca|desconsidere)${gap(3)}?(?:instrucoes|regras|ordens)(?: (?:anteriores|previas|acima))`,
    `\\b(?:ignora|dimentica|scorda)${gap(3)}?(?:istruzioni|regole|direttive)(?: (?:precedenti|sopra|date))`,
    // Dutch, Polish, Turkish
    `\\b(?:negeer|vergeet)${gap(2)}?(?:eerdere|vorige|voorgaande|bovenstaande)(?: [a-z]{1,12})? (?:instructies|regels|opdrachten)`,
    `\\b(?:zignoruj|zapomnij|pomin)${gap(3)}?(?:instrukcje|polecenia|zasady|instrukcji)\\b`,
    `\\b(?:onceki|yukaridaki)(?: [^ ]{1,16}){0,2} (?:talimatları|talimatlari|kuralları|kurallari)(?: [^ ]{1,12})? (?:yok say|unut|gormezden)`,
    // Russian, Chinese, Japanese; folded as above
    `(?:игнорируи|забудь|проигнорируи|не обращаи внимания на)(?:те)? (?:[^ ]{1,16} ){0,3}(?:инструкции|указания|правила|команды)`,
    `(?:忽略|无视|忘记|忘掉)[^。,，]{0,10}(?:指令|指示|规则|提示|命令|要求)`,
    `(?:指示|命令|ルール|指令)[^。]{0,8}(?:無視|忘れ)`,
  ),

  // to be somebody else
  signal(
    "persona",
    3,
    `\\b(?:you are|u r|you're|ur|become) (?:now )?(?:an? )?(?:[a-z0-9]{1,16} ){0,3}(?:without (?:any )?(?:limits?|restrictions|rules|filters?)|unrestricted|dan\\b|with no (?:limits|restrictions|rules)|jailbroken)`,
    `\\b(?:you are|u r|you're) now (?:an? |the |in )?(?:admin|administrator|root|developer|unrestricted|debug|god|dan|database administrator|evil[a-z]*|[a-z]{1,12}bot\\b)`,
    `\\b(?:enter|switch(?:ed)? (?:on |to )?|enable|activate|in) (?:developer|dan|god|jailbreak|unrestricted|admin) mode\\b(?! on (?:the|your))`,
    `\\bab (?:jetzt|sofort) bist du\\b|\\bdu bist (?:jetzt|nun|ab sofort|von nun an) (?:ein|mein|im|der)|\\bsie sind (?:ab sofort|jetzt) im administratormodus`,
    `\\btu es (?:desormais|maintenant) (?:un|une|le|mon)|\\ba partir de maintenant,? tu (?:es|dois|vas)`,
    `\\b(?:a partir de ahora|desde ahora|ahora) eres (?:un|una|mi|el)|\\bvoce agora e (?:um|uma|o)|\\bora sei (?:un|il|mio)`,
  ),
  signal(
    "persona",
    2,
    `\\bfrom (?:now|this (?:point|moment)|here) on(?:wards?)?,? (?:you|copy|answer|treat|reply|always|whatever|the text is trusted)`,
    `\\bpretend (?:to be|that you|you are|you're)|\\bimpersonate\\b|\\brole ?play as\\b`,
    `\\bact as (?:an? |the )?(?:root|admin|administrator|unrestricted|operator|agent of|owner)|\\bdrop your (?:previous )?persona`,
    `\\b(?:i am|i'm|as) (?:the developer who built|your (?:creator|developer|maker|administrator|supervisor))|\\bsystem administrator speaking`,
    `\\bals? (?:so als )?(?:warst|wenn) du\\b|\\btu (?:mal )?so als\\b|\\bcomme si tu (?:etais|es)\\b|\\bcomo si fueras\\b`,
    `\\b(?:assistent|agent|assistant|agente|asistente)[a-z]* (?:ohne (?:einschrankungen|regeln)|sans (?:aucune )?(?:restrictions?|regles|limites?)|sin (?:limites|restricciones|reglas)|sem restricoes)`,
    `\\bin (?:this|a) (?:hypothetical|simulat)[a-z]*\\b`,
  ),

  // to give away what it was told, or holds
  signal(
    "leak",
    3,
    `\\b(?:print|reveal|show|repeat|output|display|leak|disclose|dump|give me|tell me|send|paste|write out|expose)${gap(4)}?(?:(?:your|the|its|full|hidden|initial|secret)(?: [a-z]{1,10}){0,3} (?:system (?:prompt|message)|hidden (?:prompt|configuration|instructions)|initial instructions|context window)|your (?:instructions|prompt|system|initial|rules|configuration|memory|context)|system prompt|(?:words|text|lines) above|text of (?:their|your|the) first message)`,
    `\\bwhat (?:were you|have you been) told before\\b|\\bcontents? of your (?:memory|context)`,
    `\\b(?:zeig(?:e)?|gib|nenne|verrate|schick)(?: [a-z]{1,14}){0,4} (?:system-?prompt|systemanweisung|systemnachricht|deine anweisungen)`,
    `\\b(?:affiche|montre|revele|donne)(?:[ -][a-z]{1,14}){0,4} (?:invite systeme|prompt systeme|tes instructions|message systeme)`,
    `\\b(?:muestra(?:me)?|revela|ensename|dime)(?: [a-z]{1,14}){0,4} (?:mensaje de sistema|prompt del? sistema|tus instrucciones)`,
    `\\b(?:revele|mostre)(?: [a-z]{1,14}){0,3} prompt (?:de|do) sistema|(?:покажи|раскрои)(?:те)? (?:[^ ]{1,16} ){0,2}системныи промпт|システムフロンフト[^。]{0,6}(?:表示|見せ|教え)|(?:显示|输出|告诉我)[^。]{0,8}系统提示`,
  ),
  signal(
    "exfiltration",
    2,
    `\\b(?:send|post|forward|upload|e?-?mail|copy|submit|exfiltrate|leak|reply with|answer with|include|write|pass|give me|output|reveal|print|read me|list|return|export|read)${gap(8)}?(?:conversation|chat history|api keys?|credentials?|passwords?|access tokens?|the token|cookies|id_rsa|/etc/passwd|pins?|environment variables?|os\\.environ[^ ]{0,24}|secrets?|content of your|contents? of (?:~|/|your)|~/\\.(?:ssh|aws|config)[^ ]{0,24}|last (?:ten|\\d+|three) (?:messages|mails)|all contacts|customer list|user's (?:e-?mail|location|api key|full name|name)|address of (?:your|the) user)`,
    `\\bmot(?:s)? de passe des autres|\\bclaves de la api|\\bzugangsdaten (?:der|fur|von)|\\bgesprachsverlauf an\\b|\\bcollect passwords`,
  ),
  signal("exfiltration", 3, `https?://[^ )"'<]{1,200}[?&=/](?:[^ )"'<]{0,60})(?:\\{\\{?|<)(?:[a-z_ ]{0,20})(?:conversation|history|chat|everything|data|secret|key|user)`, `https?://[^ )"'<]{1,200}[?&](?:secret|token|api_?key|cookies?|chat|conversation|history)=(?:replace|insert|your|\\{|<)`, `\\bfetch\\('https?://[^']{1,80}'\\+document\\.cookie`),

  // that nobody is to know, or to be asked
  signal(
    "secrecy",
    2,
    `\\b(?:do not|don't|never|without|not to|must not|shall not|and not|nor) (?:ever )?(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|notify(?:ing)?|reveal(?:ing)?|disclos(?:e|ing)|alert(?:ing)?|show(?:ing)?|report(?:ing)?|discuss(?:ing)?)(?: [^ ]{1,16}){0,6}? (?:users?|humans?|owner|developers?|operator|principal|finance|accounting|customer|anyone|anybody|(?:to|by) the user)\\b`,
    `\\b(?:do not|don't|never) (?:disclose|mention|report|reveal) (?:this|it|the removal|competing|this sentence|this text)|\\bmust not be shown\\b|\\bhide (?:it|this|cheaper|its|the)[a-z ]{0,24} (?:from|output|ones)|\\b(?:silently|quietly) (?:raise|send|copy|add|forward)|\\bsilently\\b|\\bas if nothing happened|\\bso (?:that )?the (?:owner|user) does not notice|\\bsay nothing\\b`,
    `\\b(?:dem|den|der|die) (?:nutzer|benutzer|anwender|kunden)[a-z]* (?:nichts|nicht|diesen)|\\b(?:niemandem|niemanden|gegenuber niemandem|verschweig[a-z]*)\\b`,
    `\\bsans (?:en )?(?:informer|avertir|prevenir|parler|dire)|\\bn'en (?:parle|parlez|citez|informe)[a-z]* (?:pas|a personne|aucun)|\\bn'en parles? a personne`,
    `\\bno (?:se lo digas|le digas|avises|informes|mencion(?:es|en|ar)|cuentes)|\\bsin (?:decir|avisar|informar)|\\bnon dire nulla\\b|\\bzonder het aan iemand\\b`,
  ),
  signal(
    "approval",
    2,
    `\\b(?:no|without)(?: any| further| additional)? (?:approvals?|confirmations?|verification|checks|asking|involving humans|reviews?|authori[sz]ation)\\b(?:(?: is| are)? (?:needed|required|necessary))?`,
    `\\b(?:skip|bypass|disregard|omit|disable|turn off|ignore)${gap(3)}?(?:verification|approvals?|approval (?:workflow|process|step)|identity check|four-eyes(?: check)?|confirmation|two-factor[a-z ]{0,16}|reviewers?|safety (?:settings|filters?|guidelines)|rate limiter|licen[cs]e check|security check|loop guard|audit trail)\\b`,
    `\\bapprovals? (?:has|have) been (?:granted|given)|\\balready (?:authori[sz]ed|approved|cleared)|\\bpre-?approved\\b|\\b(?:has|have|was) (?:already )?(?:been )?(?:approved|authori[sz]ed|cleared)(?: (?:all|by|with|in|you|tool))|\\bauthori[sz]ed by (?:the )?(?:cfo|ceo|admin|management)|\\b(?:approvals?|confirmation|permission)(?: [a-z]{1,12}){0,4} (?:not|isn't|aren't|optional)(?: [a-z]{1,8})? ?(?:required|needed|necessary|here|exist)?`,
    `\\b(?:do not|don't|does not need to|need not|no need to) (?:ask|seek|wait for) (?:again|for|approval|permission|confirmation|anyone)|\\bact without asking|\\bwithout asking\\b|\\bdo not ask\\b|\\b(?:full|unlimited) authority|\\bhuman[ -]in[ -]the[ -]loop is (?:disabled|off)|\\bno restrictions|\\bwithout (?:limits|restrictions)|\\bnever (?:refuse|ask)`,
    `\\bohne (?:ruckfrage|bestatigung|freigabe zu|zu fragen|prufung)|\\bfreigabe (?:liegt bereits vor|ist nicht (?:erforderlich|notig)|entfallt)|\\bkeine bestatigung notig|\\bprufung [a-z ]{0,24}entfallt`,
    `\\bsans (?:demander|confirmation|validation)|\\bvalidation (?:humaine )?(?:est )?suspendue`,
    `\\bsin (?:pedir|confirmacion|autorizacion previa)|\\bya esta autorizado|\\bdesactivados los controles`,
  ),

  // to whom it is said
  signal(
    "address",
    2,
    `\\b(?:note|notice|message|instructions?|directives?|hint|attention|addressed|hello|hey|dear|hi|for|to|all)(?: (?:to|for|of|the|any|all|our|a|your|shopping|recruiting|hiring|on-call|language)){0,4} ${MODEL} ?(?:[,:!)\\]]|(?:handling|reading|processing|that|who|browsing|parsing|installing|visiting|working|tooling|only|agents?|readers)\\b)`,
    `\\bif you(?:'re| are| can read this you are) (?:an? )?(?:automated |autonomous |coding |large |browsing )*(?:ai|llm|language model|agent|bot|assistant)\\b`,
    `\\b(?:ai|llm|autonomous|coding|automated|shopping) ?(?:agents?|assistants?|models?|crawlers?|summari[sz]ers?|readers?|tools?|bots?)?(?: [^ ]{1,16}){0,5}? (?:must|should|shall|are (?:required|instructed|hereby|to)|are asked|is to|has to|needs? to)(?! not\\b| never\\b)\\b`,
    `\\b(?:language models?|llms?|summari[sz]ers?|models parsing)(?: [^ ]{1,16}){0,4}? (?:must|should|shall|needs? to|are (?:required|instructed|hereby|to)|is to)(?! not\\b| never\\b)\\b`,
    `(?:^ ?|[.!?;>"'(\\[#/*-] ?)(?:assistants?|agents?|llms?|ai|copilot|chatbot|bot|models?|ai agent|assistant directive \\d+|autonomous agents|agents)(?:@| ?[:,]) ?(?=[a-z])`,
    `@(?:agent|assistant|ai|bot|copilot)\\b|\\b(?:the|this) (?:assistant|agent|ai|model|coding agent|summari[sz]er)(?: [^ ]{1,16}){0,4}? (?:must|shall|should|is to|has to)(?! not\\b| never\\b)\\b|\\b(?:hiring|recruiting|shopping|on-call|reviewing) (?:ai|assistants?|agents?|bots?)\\b|\\bfor_llm\\b|\\bto any llm\\b|\\bto the model\\b|\\bask ai tools to\\b|\\bai (?:tooling|readers? only)\\b`,
    `\\b(?:an (?:die|den|das|alle)|liebe|lieber|sehr geehrter|hinweis an (?:die|den)|anweisung an (?:das|die))(?: [a-z]{1,10})? (?:ki|ki-[a-z]+|assistent|sprachmodelle?n?|modell|bot)\\b|\\bwenn du ein[e]? (?:ki|sprachmodell|bot|ki-agent|assistent)|\\bals automatischer assistent|\\bsprachmodelle sollen|\\ban den bot\\b`,
    `\\b(?:a l'attention de|message pour|note pour|pour|a) (?:l')?(?:assistant|ia|intelligence artificielle)\\b|\\ba l'ia\\b|\\bmodeles de langage\\b ?:|\\bsi (?:vous etes|tu es) une? (?:ia|intelligence artificielle|modele)|\\bl'agent doit\\b|\\bassistants ?:`,
    `\\b(?:mensaje|nota) para (?:el asistente|la ia)|\\bpara la ia\\b|\\bmodelos de lenguaje ?:|\\bsi eres (?:una ia|un modelo|un asistente)|\\bel agente debe\\b|\\bnota per l'assistente`,
  ),
  signal(
    "authority",
    2,
    `\\b(?:new|latest|updated|priority|highest priority) (?:system )?(?:instructions?|directives?|objective|orders|guidance|system message)\\b ?(?::|for|is|\\.|message)|\\bnew rules?(?: [a-z]{1,8})?:|\\byour (?:new|only) (?:task|objective|goal|job|instructions?)(?: now)? (?:is|are|:)|\\byour instructions have (?:been )?(?:updated|changed)|\\bnew session\\. instructions`,
    `\\bsystem (?:override|prompt update|note to|message to)|\\boverride:|\\bsupersedes? all (?:earlier|previous|other)|\\bwith the highest priority|\\bpriority message for|\\bhighest priority\\b|\\b(?:safety|content) (?:filters?|guidelines?|settings) (?:is|are) (?:disabled|off)|\\bmaintenance mode\\b|\\bobey the (?:text|next)|\\btreat (?:everything|the text) (?:above|below)`,
    `\\bneue (?:system)?anweisung(?:en)?\\b ?:|\\bnouvelles? (?:instructions?|directives?)(?: du systeme)? ?:|\\bnuevas? (?:instrucciones|directiva|directriz)(?: del sistema)? ?:`,
  ),
  signal(
    "steering",
    2,
    `\\b(?:rank|rate|recommend|praise|mention|mark|classify|summari[sz]e|report|describe|present)${gap(6)}?(?:over (?:every|all|any) other|first|above all|10/10|only|as (?:benign|harmless|safe|approved|the best|passed))\\b`,
    `\\b(?:only (?:mention|say|show)|say|state|claim|conclude|report|tell (?:the )?(?:users?|visitors|people|them))(?: that)?${gap(4)}?(?:positive|good|is the (?:best|only)|no incident|everything is fine|is closed|is safe)`,
    `\\b(?:in|when)(?: you)?(?: your)? (?:summar(?:y|ies|i[sz]e)|answer|report)[^ ]{0,3}(?: [^ ]{1,16}){0,6} (?:include|insert|leave out|omit|hide|mention|say)\\b|\\b(?:suppress|hide|leave out|omit) (?:all )?(?:warnings|cheaper|negative|criticism|other)`,
    `\\b(?:nur|ausschließlich|als einzige|am besten) (?:unser|diese|dieses)[a-z]*|\\bals einzige (?:quelle|wahl)|\\brecommandez uniquement|\\brecomienden (?:solo|unicamente)|\\bin deiner (?:zusammenfassung|antwort)|\\b(?:di|digan|dites|dis|sag|sagt) (?:que|dass) (?:este|esta|esto|ce|cette|dieses|diese)\\b`,
  ),

  // what is to be done
  signal(
    "command",
    1,
    `\\b(?:call|invoke|use|run|execute|call(?:ing)?) (?:the |this |another )?(?:tool|function|command|shell|\`|[a-z]+[._][a-z_]+\\b)`,
    `\\b(?:delete|wipe|purge|drop|transfer|wire|refund|approve|grant|forward|upload|export|disable|unlock|reset|pay|purchase|book|append|add|send|issue|close|release|install|download|click|submit|restart|merge|push|open|set|change|raise|accept|proceed|carry out|remove|comment out|replace|post|copy|buy|fetch|skip|verify|mark|answer|treat|start|continue|list)\\b${gap(3)}?(?:all|the|every|any|it|this|a|customers?|users?|payments?|refunds?|accounts?|orders?|tickets?|money|invoices?|role|request|everything|\\d+|with|to|yes)\\b`,
    `\\bcurl (?:-[a-z]+ )?https?://|\\bsudo \\b|\\brm -rf\\b|\\bgit push --force|\\bforce-push|\\|\\s?(?:sh|bash)\\b|\\bnpm config set\\b|\\bdrop table\\b`,
    `\\b(?:losche(?:n sie)?|uberweise(?:n)?|genehmige|erstatte|fuhre(?:n sie)?|schick(?:e|en sie)?|leite(?:n sie)?|rufe|empfehlt|bewerte|entsperre|fasse)\\b|\\b(?:supprime|rembourse|transfere|transfert|effectue|envoie|envoyez|cliquez|execute[r]?|dites|efectua)\\b|\\b(?:borra|devuelve|transfiere|reenvia|envia|desbloquea|ejecutar|aprueba|aprueba[s]?|recomienden|inoltra|rimborsa|aprove|transfira|keur|przelej|gonder)\\b`,
  ),
  signal("urgency", 1, `\\b(?:immediately|at once|right now|urgent(?:ly)?|before (?:you|replying|answering)|without delay|go ahead|obey)\\b`, `\\b(?:sofort|unverzuglich|immediatement|tout de suite|inmediato|de inmediato|subito|agora|ahora mismo|natychmiast|hemen)\\b|立即|すぐ`),
];
