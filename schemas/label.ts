/** Labels of data: what kind of data it is, or where it may be. They travel with a run as taint does (GUARD-10). */
import { z } from "zod";

/** `pii`, `phi`, `pci`, `secret`, `region:<where>` (`region:eu`), or one of one's own. */
export const labelSchema = z.string().regex(/^[a-z][a-z0-9-]{0,31}(:[a-z0-9][a-z0-9-]{0,62})?$/, "a label is `pii`, `phi`, `pci`, `secret`, `region:eu` or one like it");
export type Label = z.infer<typeof labelSchema>;
