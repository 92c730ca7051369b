// An order of answers with ties, as a labeler makes it: slots 1..K, several answers in one slot, undo and redo.

/** Ranks for people: 1st, 2nd, 3rd. */
export function ordinal(number) {
  const tens = number % 100;
  if (tens >= 11 && tens <= 13) return `${number}th`;
  return `${number}${["th", "st", "nd", "rd"][number % 10] ?? "th"}`;
}

export class Ranking {
  #past = [];
  #future = [];

  constructor(letters, ties = true) {
    this.letters = [...letters];
    this.ties = ties;
    this.slots = {};
    /** The slots come from the labeler's own grades and nobody has confirmed or changed them. */
    this.proposed = false;
    /** The labeler has placed, moved or confirmed something. */
    this.touched = false;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Letters without a place. */
  get missing() {
    return this.letters.filter((letter) => !(letter in this.slots));
  }

  /** Every answer has a place, and a person said so. */
  get complete() {
    return this.missing.length === 0 && !this.proposed;
  }

  /** Letters by place, best first: [["B"], ["A", "C"]]. */
  get order() {
    const used = [...new Set(Object.values(this.slots))].sort((a, b) => a - b);
    return used.map((slot) => this.letters.filter((letter) => this.slots[letter] === slot));
  }

  /** Dense tiers from 0 of the answers that have a place. */
  get tiers() {
    return Object.fromEntries(this.order.flatMap((tied, tier) => tied.map((letter) => [letter, tier])));
  }

  /** Put an answer into a slot; one that is there already is tied with it, or changes places where ties are not allowed. */
  place(letter, slot) {
    if (slot < 1 || slot > this.letters.length || !this.letters.includes(letter)) return false;
    const next = { ...this.slots };
    if (!this.ties) {
      const there = this.letters.find((other) => other !== letter && next[other] === slot);
      if (there && letter in next) next[there] = next[letter];
      else if (there) delete next[there];
    }
    next[letter] = slot;
    return this.#set(next);
  }

  /** Take an answer out again. */
  clear(letter) {
    const next = { ...this.slots };
    delete next[letter];
    return this.#set(next);
  }

  /** Tie an answer with the place above its own, or with the last place if it has none. */
  tie(letter) {
    if (!this.ties) return false;
    const own = this.slots[letter] ?? Infinity;
    const above = Object.values(this.slots).filter((slot) => slot < own);
    return above.length ? this.#set({ ...this.slots, [letter]: Math.max(...above) }) : false;
  }

  /** Move an answer one place up (-1) or down (+1); out of a tie it goes into a place of its own. */
  move(letter, step) {
    const own = this.slots[letter];
    if (own === undefined) return false;
    const count = this.letters.length;
    const tied = this.letters.some((other) => other !== letter && this.slots[other] === own);
    const there = own + step;
    const free = there >= 1 && there <= count && !Object.values(this.slots).includes(there);
    if (free) return this.#set({ ...this.slots, [letter]: there });
    if (!tied) {
      if (there < 1 || there > count) return false;
      const swapped = Object.entries(this.slots).map(([other, slot]) => [other, slot === there ? own : slot]);
      return this.#set({ ...Object.fromEntries(swapped), [letter]: there });
    }
    const order = this.order;
    const at = order.findIndex((tier) => tier.includes(letter));
    order[at] = order[at].filter((other) => other !== letter);
    order.splice(step < 0 ? at : at + 1, 0, [letter]);
    return this.#set(slotsOf(order));
  }

  /** The labeler's own grades (higher is better) as a first order that still has to be confirmed. */
  propose(grades) {
    if (this.touched || this.letters.some((letter) => typeof grades[letter] !== "number")) return false;
    const order = [...new Set(Object.values(grades))]
      .sort((a, b) => b - a)
      .map((grade) => this.letters.filter((letter) => grades[letter] === grade));
    this.slots = this.ties ? slotsOf(order) : lonely(order);
    this.proposed = true;
    return true;
  }

  /** The proposal is what the labeler means. */
  confirm() {
    if (!this.proposed) return false;
    return this.#set({ ...this.slots });
  }

  /** Take over a whole order, such as one that came out of answering questions. */
  adopt(order) {
    return this.#set(slotsOf(order));
  }

  /** A state that was kept, without history. */
  restore({ slots = {}, proposed = false, touched = true }) {
    const known = Object.entries(slots).filter(([letter, slot]) => this.letters.includes(letter) && slot >= 1);
    this.slots = Object.fromEntries(known);
    this.proposed = proposed;
    this.touched = touched;
    this.#past = [];
    this.#future = [];
  }

  undo() {
    return this.#step(this.#past, this.#future);
  }

  redo() {
    return this.#step(this.#future, this.#past);
  }

  /** Where an answer stands, in words. */
  describe(letter) {
    const slot = this.slots[letter];
    if (slot === undefined) return "not placed";
    const tied = this.letters.filter((other) => other !== letter && this.slots[other] === slot);
    return `${ordinal(slot)}${tied.length ? `, tied with ${tied.join(" and ")}` : ""}`;
  }

  #set(next) {
    this.#past.push([this.slots, this.proposed]);
    this.#future = [];
    this.slots = next;
    this.proposed = false;
    this.touched = true;
    return true;
  }

  #step(from, to) {
    const kept = from.pop();
    if (!kept) return false;
    to.push([this.slots, this.proposed]);
    [this.slots, this.proposed] = kept;
    return true;
  }
}

function slotsOf(order) {
  const tiers = order.filter((tier) => tier.length);
  return Object.fromEntries(tiers.flatMap((tier, at) => tier.map((letter) => [letter, at + 1])));
}

/** Without ties: answers with the same grade stay unplaced, and keep room between the others. */
function lonely(order) {
  const slots = {};
  let next = 1;
  for (const tier of order) {
    if (tier.length === 1) slots[tier[0]] = next;
    next += tier.length;
  }
  return slots;
}
