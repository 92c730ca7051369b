// Flags: yes-or-no remarks. Not set is not "no" until the labeler says that the answer is done; a flag that may not
// apply has all three.

import { freshId, h } from "../html.js";
import { tell } from "./choices.js";

/** A letter for each flag, from its label, none of `reserved`. */
export function flagKeys(questions, reserved) {
  const taken = new Set(reserved);
  const keys = {};
  for (const question of questions) {
    const letters = [...question.label.toLowerCase(), ..."abcdefghijklmnopqrstuvwxyz"].filter((one) => /[a-z]/.test(one));
    const letter = letters.find((one) => !taken.has(one));
    if (letter === undefined) continue;
    taken.add(letter);
    keys[question.name] = letter;
  }
  return keys;
}

/** Several flags together; .values is {name: true | false | null}, a missing name is untouched. */
export class Flags extends HTMLElement {
  #values = {};

  connectedCallback() {
    if (this.drawn) return;
    this.drawn = new Map();
    const plain = this.questions.filter((question) => !question.nullable);
    const open = this.questions.filter((question) => question.nullable);
    this.replaceChildren(
      h(
        "fieldset.field.flags",
        {},
        h("legend", {}, this.heading ?? "Is any of this true?"),
        open.map((question) => this.#three(question)),
        h("div.check-grid", {}, plain.map((question) => this.#two(question))),
      ),
    );
    this.values = this.#values;
  }

  get values() {
    return this.#values;
  }

  set values(values) {
    this.#values = { ...values };
    for (const [name, show] of this.drawn ?? []) show(this.#values[name]);
  }

  /** What a key does: yes and no in turn, and "does not apply" where that is possible. */
  flip(name) {
    const { nullable } = this.questions.find((question) => question.name === name);
    const now = this.#values[name];
    const next = nullable ? (now === true ? false : now === false ? null : true) : now !== true;
    this.#set(name, next);
    return next;
  }

  #set(name, value) {
    this.#values[name] = value;
    this.drawn.get(name)(value);
    tell(this, name, value);
  }

  #cap(name) {
    const key = this.keys?.[name];
    return key ? h("kbd", { "aria-hidden": "true" }, key.toUpperCase()) : null;
  }

  #two({ name, label, help }) {
    const input = h("input", { type: "checkbox", onchange: () => this.#set(name, input.checked), "data-flag": name });
    const said = h("span.said", {});
    this.drawn.set(name, (value) => {
      input.checked = value === true;
      said.textContent = value === false ? "no" : "";
    });
    return h("label.check", { title: help || null }, input, h("span", {}, label), said, this.#cap(name));
  }

  #three({ name, label, help }) {
    const group = freshId(name);
    const options = [[null, "does not apply"], [false, "no"], [true, "yes"]];
    const inputs = options.map(([value]) => h("input", { type: "radio", name: group, onchange: () => this.#set(name, value) }));
    this.drawn.set(name, (now) => options.forEach(([value], at) => (inputs[at].checked = now === value)));
    return h(
      "div.three",
      { role: "radiogroup", "aria-labelledby": `${group}-label`, "data-flag": name },
      h("span.three-label", { id: `${group}-label`, title: help || null }, label, " ", this.#cap(name)),
      h("span.three-options", {}, options.map(([, words], at) => h("label.option", {}, inputs[at], h("span.option-face", {}, words)))),
      help ? h("span.help", {}, help) : null,
    );
  }
}

customElements.define("heed-flags", Flags);
