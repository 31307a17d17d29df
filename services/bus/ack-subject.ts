/**
 * What the server says of a delivered message in the subject on which it wants to hear of it:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>`; the newer form has
 * the domain and a hash of the account before the stream.
 */
export function parseAckSubject(reply: string): { seq: number; nth: number; time: number; deliveries: number; pending: number } {
  const tokens = reply.split(".");
  const at = tokens.length >= 11 ? 6 : 4;
  return {
    deliveries: Number(tokens[at]),
    seq: Number(tokens[at + 1]),
    nth: Number(tokens[at + 2]),
    // Cut as text: nanoseconds do not fit into a number, and every way of reading must give the same milliseconds.
    time: Number((tokens[at + 3] ?? "").slice(0, -6)),
    pending: Number(tokens[at + 4]),
  };
}
