// Grading one answer: its text, a grade, and flags. Done only when the labeler says so.

import { announce, h } from "../html.js";
import { answerText } from "./answer.js";
import { widget } from "./choices.js";
import { flagKeys } from "./flags.js";

const RESERVED = "jksngpzu";

export class GradePanel {
  constructor(state, changed) {
    this.state = state;
    this.changed = changed;
    this.flags = state.ofCandidate.filter((question) => question.kind === "flag");
    this.others = state.ofCandidate.filter((question) => question.kind !== "flag");
    this.keys = flagKeys(this.flags, RESERVED);
    this.letter = null;
  }

  /** The elements for one answer. */
  draw(letter) {
    this.letter = letter;
    const values = this.state.candidates[letter];
    const answer = this.state.task.answers.find((one) => one.letter === letter);
    const tags = { likert: "heed-likert", choice: "heed-choice", choices: "heed-choices", text: "heed-editor", flag: "heed-yes-no" };
    this.widgets = this.others.map((question) => widget(tags[question.kind], question, values[question.name]));
    this.box = document.createElement("heed-flags");
    Object.assign(this.box, { questions: this.flags, values, keys: this.keys });
    this.done = h("button.primary", { type: "button", "data-done": true }, "Done with this answer ", h("kbd", { "aria-hidden": "true" }, "Enter"));
    this.done.addEventListener("click", () => this.done.dispatchEvent(new CustomEvent("heed:done", { bubbles: true })));
    this.card = h("section.answer-card.graded", { "aria-label": `Answer ${letter}`, role: "group", tabindex: 0 }, h("header", {}, h("span.letter", {}, letter), h("span.muted", {}, `of ${this.state.letters.length}`)), h("div.answer-body", {}, answerText(answer)));
    const controls = h(
      "section.controls.stack",
      {
        "aria-label": `Your grade of answer ${letter}`,
        "onheed:value": (event) => {
          event.stopPropagation();
          values[event.detail.name] = event.detail.value;
          this.changed();
        },
      },
      this.widgets,
      this.flags.length ? this.box : null,
      this.done,
    );
    return [this.card, controls];
  }

  focus() {
    this.card.focus({ preventScroll: true });
  }

  /** Declare the answer done; gives a sentence if something is missing. */
  finish() {
    const open = this.others.filter((question) => question.required && this.state.candidates[this.letter][question.name] === undefined);
    if (open.length) return `Answer ${this.letter} still needs: ${open.map((question) => question.label).join(", ")}`;
    this.state.finish(this.letter);
    return null;
  }

  /** What the labeler has said about an answer, in a few words. */
  remarks(letter) {
    const values = this.state.candidates[letter];
    const grades = this.others.filter(({ kind, name }) => kind === "likert" && values[name] !== undefined).map(({ name }) => `your grade ${values[name]}`);
    return [...grades, ...this.flags.filter(({ name }) => values[name] === true).map(({ label }) => label.split(",")[0])];
  }

  get bindings() {
    const likert = this.widgets.find((one) => one.question.kind === "likert");
    const bindings = [];
    if (likert) {
      const { low, high } = likert.question;
      const digits = Array.from({ length: high - low + 1 }, (_, at) => String(low + at));
      bindings.push({
        keys: digits,
        shown: [digits[0], "…", digits.at(-1)],
        label: likert.question.label,
        run: (key) => {
          likert.choose(Number(key));
          announce(`Grade ${key}`);
        },
      });
    }
    for (const { name, label } of this.flags) {
      const key = this.keys[name];
      if (!key) continue;
      const words = { true: "yes", false: "no", null: "does not apply" };
      bindings.push({ keys: [key], label, run: () => announce(`${label}: ${words[String(this.box.flip(name))]}`) });
    }
    return bindings;
  }
}
