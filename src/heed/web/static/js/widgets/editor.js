// Writing: a text box with a count, a Markdown preview by the server's own renderer, and what changed in an edit.

import { call } from "../api.js";
import { diff } from "../diff.js";
import { freshId, h, setRich } from "../html.js";
import { tell } from "./choices.js";

const REST = 350;

/** Words in a text. */
export function countWords(text) {
  return text.match(/[\p{L}\p{N}][\p{L}\p{N}'’_-]*/gu)?.length ?? 0;
}

/** Pieces of a difference as elements: what is gone struck out, what is new underlined. */
export function diffPieces(pieces) {
  return pieces.map(([kind, text]) => (kind === "same" ? text : h(kind === "in" ? "ins" : "del", {}, text)));
}

/** .question, .value, .original (shows the changes against it), .preview (false: plain text, no preview). */
export class Editor extends HTMLElement {
  #value = "";
  #timer = null;
  #asked = 0;

  connectedCallback() {
    if (this.box) return;
    const { question } = this;
    const id = freshId(question.name);
    this.count = h("output.count.muted.small", { htmlFor: id });
    this.box = h("textarea", {
      id,
      dir: "auto",
      rows: this.rows ?? 12,
      spellcheck: "true",
      value: this.#value,
      "aria-describedby": question.help ? `${id}-help` : null,
      oninput: () => this.#typed(),
      onkeydown: (event) => event.key === "Escape" && this.box.blur(),
    });
    this.out = h("div.answer.rich", { dir: "auto" });
    this.changes = this.original === undefined ? null : h("div.answer.diff", { dir: "auto" });
    this.details = this.preview === false ? null : h("details.preview", { ontoggle: () => this.#draw() }, h("summary", {}, "Preview ", h("kbd", { "aria-hidden": "true" }, "V")), this.out);
    this.replaceChildren(
      ...[
        h("div.field", {}, h("label", { htmlFor: id }, question.label), question.help ? h("span.help", { id: `${id}-help` }, question.help) : null, this.box, h("div.row.between", {}, h("span.help", {}, this.preview === false ? "" : "Markdown works"), this.count)),
        this.changes ? h("section.changes", {}, h("h3", {}, "What you changed"), this.changes) : null,
        this.details,
      ].filter(Boolean),
    );
    this.toggleAttribute("large", this.preview !== false);
    this.#tally();
    this.#draw();
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = value ?? "";
    if (this.box && this.box.value !== this.#value) this.box.value = this.#value;
    if (this.box) this.#tally();
  }

  focus() {
    this.box.focus();
  }

  togglePreview() {
    if (this.details) this.details.open = !this.details.open;
  }

  #typed() {
    this.#value = this.box.value;
    this.#tally();
    tell(this, this.question.name, this.#value);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#draw(), REST);
  }

  #tally() {
    const count = countWords(this.#value);
    const { max_chars: limit } = this.question;
    const over = limit && this.#value.length > limit;
    this.count.textContent = `${count.toLocaleString()} ${count === 1 ? "word" : "words"}${over ? `, ${(this.#value.length - limit).toLocaleString()} characters too long` : ""}`;
    this.box.toggleAttribute("aria-invalid", Boolean(over));
  }

  async #draw() {
    if (this.changes) {
      const pieces = diff(this.original, this.#value);
      this.changes.replaceChildren(...(pieces.some(([kind]) => kind !== "same") ? diffPieces(pieces) : [h("span.muted", {}, "Nothing yet.")]));
    }
    if (!this.details?.open) return;
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const { html } = await call("POST", "/api/preview", { text: this.#value });
      if (asked === this.#asked) setRich(this.out, html);
    } catch {
      if (asked === this.#asked) this.out.textContent = this.#value;
    }
  }
}

customElements.define("heed-editor", Editor);
