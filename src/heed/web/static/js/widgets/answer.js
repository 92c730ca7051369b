// One answer in its box, and the prompt above it: what people and models wrote, drawn by the server's sanitiser.

import { diff } from "../diff.js";
import { h, setRich } from "../html.js";
import { diffPieces } from "./editor.js";

/** The text of an answer; .against(text) shows what differs from another, .against(null) the text itself. */
export class AnswerText extends HTMLElement {
  connectedCallback() {
    if (this.drawn) return;
    this.drawn = true;
    this.classList.add("answer", "rich");
    this.dir = "auto";
    this.against(null);
  }

  /** Mark what the other text does not have. */
  against(other) {
    this.classList.toggle("diff", other !== null);
    if (other === null) setRich(this, this.answer.html);
    else this.replaceChildren(...diffPieces(diff(other, this.answer.text).filter(([kind]) => kind !== "out")));
  }
}

customElements.define("heed-answer", AnswerText);

/** The text of one answer as an element. */
export function answerText(answer) {
  const element = document.createElement("heed-answer");
  element.answer = answer;
  return element;
}

/** The conversation that is to be answered. */
export function promptTurns(task) {
  const several = task.prompt.length > 1;
  return h(
    "div.prompt-turns",
    { tabindex: 0, role: "group", "aria-label": task.brief ? "What is wanted" : "Prompt" },
    task.prompt.map(({ role, html }) =>
      h(`div.prompt.turn-${role}`, {}, several || role !== "user" ? h("div.turn-role.muted.small", {}, role) : null, setRich(h("div.rich", { dir: "auto" }), html)),
    ),
  );
}
