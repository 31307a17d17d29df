/** Apart from what sends: where no collector is named, the SDK is not even loaded. */

/**
 * Where the environment wants traces: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` as it is, or `v1/traces` below
 * `OTEL_EXPORTER_OTLP_ENDPOINT`. Undefined when it names neither. @throws TypeError when it is no http(s) URL
 */
export function tracesUrl(env: NodeJS.ProcessEnv): string | undefined {
  const own = env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
  const base = env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  const text = own || (base && `${base.replace(/\/$/, "")}/v1/traces`);
  if (!text) return undefined;
  if (!/^https?:$/.test(new URL(text).protocol)) throw new TypeError(`\`${text}\` is neither http nor https`);
  return text;
}
