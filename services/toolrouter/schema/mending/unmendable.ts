/** Nothing can be made of the schema; the message is a clause such as "is nested too deep". */
export class Unmendable extends Error {
  override readonly name = "Unmendable";
}
