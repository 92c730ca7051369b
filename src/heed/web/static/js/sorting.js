// Insertion ranking: each new answer is held against the middle of those already in order, so K answers need at most
// about K log2 K questions, and a tie ends the search for an answer at once.

export class Sorting {
  #past = [];

  constructor(letters) {
    this.waiting = [...letters];
    this.order = this.waiting.length ? [[this.waiting.shift()]] : [];
    this.asked = 0;
    this.#begin();
  }

  get done() {
    return this.waiting.length === 0;
  }

  /** The new answer and the one it is held against, or null when all are in order. */
  get question() {
    return this.done ? null : { fresh: this.waiting[0], against: this.order[this.middle].at(-1) };
  }

  /** How many more questions there can be at most. */
  get left() {
    if (this.done) return 0;
    let count = Math.ceil(Math.log2(this.high - this.low + 1));
    for (let at = 1; at < this.waiting.length; at += 1) count += Math.ceil(Math.log2(this.order.length + at + 1));
    return count;
  }

  /** The new answer is "better", "worse" or the "same". */
  answer(verdict) {
    if (this.done) return;
    this.#past.push([[...this.waiting], this.order.map((tier) => [...tier]), this.low, this.high]);
    this.asked += 1;
    const [fresh] = this.waiting;
    if (verdict === "same") {
      this.order[this.middle].push(fresh);
      this.waiting.shift();
      this.#begin();
      return;
    }
    if (verdict === "better") this.high = this.middle;
    else this.low = this.middle + 1;
    if (this.low >= this.high) {
      this.order.splice(this.low, 0, [fresh]);
      this.waiting.shift();
      this.#begin();
    }
  }

  undo() {
    const kept = this.#past.pop();
    if (!kept) return false;
    [this.waiting, this.order, this.low, this.high] = kept;
    this.asked -= 1;
    return true;
  }

  get middle() {
    return (this.low + this.high) >> 1;
  }

  #begin() {
    this.low = 0;
    this.high = this.order.length;
  }
}
