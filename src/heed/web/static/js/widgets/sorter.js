// Insertion ranking as questions: two answers side by side, and which is better. For many or long answers.

import { announce, h } from "../html.js";
import { Sorting } from "../sorting.js";
import { answerText } from "./answer.js";

/** .answers; events "heed:sorted" {order} and "heed:left". */
export class Sorter extends HTMLElement {
  connectedCallback() {
    if (this.sorting) return;
    this.texts = new Map(this.answers.map((answer) => [answer.letter, answer]));
    this.sorting = new Sorting(this.answers.map((answer) => answer.letter));
    this.draw();
  }

  /** The new answer stands on the left. */
  answer(verdict) {
    this.sorting.answer(verdict);
    if (this.sorting.done) {
      this.dispatchEvent(new CustomEvent("heed:sorted", { bubbles: true, detail: { order: this.sorting.order } }));
      return;
    }
    this.draw();
  }

  undo() {
    if (this.sorting.undo()) this.draw();
    else announce("Nothing to undo");
  }

  leave() {
    this.dispatchEvent(new CustomEvent("heed:left", { bubbles: true }));
  }

  get bindings() {
    return [
      { keys: ["1", "ArrowLeft"], label: "the left one is better", run: () => this.answer("better") },
      { keys: ["2", "=", "ArrowDown"], label: "equally good", run: () => this.answer("same") },
      { keys: ["3", "ArrowRight"], label: "the right one is better", run: () => this.answer("worse") },
      { keys: ["z", "Ctrl+z"], label: "undo", run: () => this.undo() },
      { keys: ["q", "Escape"], label: "back to the places", run: () => this.leave() },
    ];
  }

  draw() {
    const { fresh, against } = this.sorting.question;
    const { left } = this.sorting;
    const card = (letter) => h("section.answer-card", { "aria-label": `Answer ${letter}`, role: "group" }, h("header", {}, h("span.letter", {}, letter)), h("div.answer-body", {}, answerText(this.texts.get(letter))));
    const choice = (words, key, verdict) => h("button", { type: "button", onclick: () => this.answer(verdict) }, words, h("kbd", { "aria-hidden": "true" }, key));
    this.replaceChildren(
      h("p", {}, h("strong", {}, "Which is better?"), h("span.muted", {}, ` At most ${left} more ${left === 1 ? "question" : "questions"}.`)),
      h("div.columns.pair", {}, card(fresh), card(against)),
      h("div.verdicts", {}, choice(`${fresh} is better`, "1", "better"), choice("Equally good", "2", "same"), choice(`${against} is better`, "3", "worse")),
      h("div.row", {}, h("button.quiet.small", { type: "button", onclick: () => this.undo() }, "Undo ", h("kbd", { "aria-hidden": "true" }, "Z")), h("button.quiet.small", { type: "button", onclick: () => this.leave() }, "Back to the places ", h("kbd", { "aria-hidden": "true" }, "Q"))),
    );
    announce(`Is ${fresh} better than ${against}?`);
  }
}

customElements.define("heed-sorter", Sorter);
