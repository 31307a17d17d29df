/** The judge of this folder is that of `services/policy`, which replay has as well. */
export { type Judge, PolicyJudge } from "../policy/judgement.ts";
