// One task as far as it is answered, and the one way between that and what the server gets. Drawn from the form alone:
// a question kind that is known here is saved; one that is not cannot be drawn.

import { Ranking } from "./ranking.js";

export class TaskState {
  constructor(task) {
    this.task = task;
    this.questions = task.form.questions;
    this.letters = task.answers.map((answer) => answer.letter);
    this.ofItem = this.questions.filter((question) => question.scope === "item" && question.kind !== "tiers");
    this.ofCandidate = this.questions.filter((question) => question.scope === "candidate");
    const tiers = this.questions.find((question) => question.kind === "tiers");
    this.item = {};
    this.candidates = Object.fromEntries(this.letters.map((letter) => [letter, {}]));
    this.ranking = tiers ? new Ranking(this.letters, tiers.ties) : null;
    this.note = "";
    /** Letters whose text has been on the screen. */
    this.seen = new Set();
    /** Letters that the labeler has declared done, where each is graded. */
    this.done = new Set();
    this.restore(task.draft);
    if (task.task === "edit" && this.item[this.#edited] === undefined) this.item[this.#edited] = this.original;
  }

  /** The text that an edit starts from. */
  get original() {
    return this.task.task === "edit" ? (this.task.answers[0]?.text ?? "") : null;
  }

  get #edited() {
    return this.ofItem.find((question) => question.kind === "answer")?.name;
  }

  /** Take over a draft, or an answer that was handed in before. */
  restore(kept) {
    if (!kept) return;
    const known = new Set(this.questions.map((question) => question.name));
    const only = (values) => Object.fromEntries(Object.entries(values ?? {}).filter(([name]) => known.has(name)));
    this.item = only(kept.item);
    for (const letter of this.letters) this.candidates[letter] = only(kept.candidates?.[letter]);
    this.note = typeof kept.note === "string" ? kept.note : "";
    const page = kept.page;
    if (page) {
      this.seen = new Set(page.seen);
      this.done = new Set(page.done);
      if (page.ranking) this.ranking?.restore(page.ranking);
    } else {
      this.seen = new Set(this.letters);
      this.done = new Set(this.letters);
      const slots = Object.fromEntries(Object.entries(kept.tiers ?? {}).map(([letter, tier]) => [letter, tier + 1]));
      this.ranking?.restore({ slots });
    }
  }

  /** Whether a question is asked, given what has been answered so far. */
  asks(question) {
    if (this.task.task !== "prompt") return true;
    if (question.kind === "examples") return this.item.style === "few_shot";
    if (question.name === "use_case") return this.item.style === "user_based";
    return true;
  }

  /** The labeler is through with an answer: flags that were not set are "no", or do not apply where they may not. */
  finish(letter) {
    for (const question of this.ofCandidate) {
      if (question.kind !== "flag" || this.candidates[letter][question.name] !== undefined) continue;
      this.candidates[letter][question.name] = question.nullable ? null : false;
    }
    this.done.add(letter);
  }

  /** The labeler's own grades, one for each answer. */
  get grades() {
    const likert = this.ofCandidate.find((question) => question.kind === "likert");
    if (!likert) return {};
    return Object.fromEntries(this.letters.map((letter) => [letter, this.candidates[letter][likert.name]]));
  }

  /** What the server checks and stores. */
  get payload() {
    const item = {};
    for (const question of this.ofItem) {
      const value = this.item[question.name];
      if (this.asks(question) && !isEmpty(value)) item[question.name] = value;
    }
    return {
      item,
      ...(this.ofCandidate.length ? { candidates: structuredClone(this.candidates) } : {}),
      ...(this.ranking ? { tiers: this.ranking.tiers } : {}),
      ...(this.note ? { note: this.note } : {}),
    };
  }

  /** The payload, and what the page needs to go on from there. */
  get draft() {
    const { slots, proposed, touched } = this.ranking ?? {};
    return {
      ...this.payload,
      item: { ...this.item },
      page: {
        seen: [...this.seen],
        done: [...this.done],
        ...(this.ranking ? { ranking: { slots, proposed, touched } } : {}),
      },
    };
  }

  /** What is still to do before this can be handed in, in sentences. */
  get missing() {
    const missing = [];
    for (const question of this.ofItem) missing.push(...this.#missingOf(question));
    const silent = !this.ranking && !this.ofCandidate.length && !Object.keys(this.payload.item).length;
    if (silent && !missing.length) missing.push("at least one answer");
    for (const letter of this.letters) {
      if (!this.ofCandidate.length) break;
      const open = this.ofCandidate.filter(
        (question) => question.required && question.kind !== "flag" && isEmpty(this.candidates[letter][question.name]),
      );
      if (open.length) missing.push(`${open.map((question) => question.label).join(", ")} of answer ${letter}`);
      else if (!this.done.has(letter)) missing.push(`answer ${letter}: Enter when done with it`);
    }
    if (this.ranking) {
      const unplaced = this.ranking.missing;
      if (unplaced.length) missing.push(`a place for ${unplaced.join(", ")}`);
      else if (this.ranking.proposed) missing.push("confirm the order, or change it");
    }
    const unseen = this.letters.filter((letter) => !this.seen.has(letter));
    if (unseen.length) missing.push(`look at ${unseen.join(", ")}`);
    return missing;
  }

  #missingOf(question) {
    const value = this.item[question.name];
    if (!this.asks(question)) return [];
    if (question.kind === "examples") {
      const examples = Array.isArray(value) ? value : [];
      if (!examples.length) return ["at least one worked example"];
      const bare = examples.findIndex((one) => !one.query.trim() || !one.response.trim());
      return bare >= 0 ? [`text in both parts of example ${bare + 1}`] : [];
    }
    const wanted = question.required || (this.task.task === "prompt" && question.name === "use_case");
    if (wanted && (isEmpty(value) || (typeof value === "string" && !value.trim()))) return [`“${question.label}”`];
    if (typeof value === "string" && question.max_chars && value.length > question.max_chars) {
      return [`“${question.label}” within ${question.max_chars.toLocaleString()} characters`];
    }
    if (this.original !== null && question.kind === "answer" && value.trim() === this.original.trim()) {
      return ["a change: the answer is as it was"];
    }
    return [];
  }
}

function isEmpty(value) {
  return value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);
}
