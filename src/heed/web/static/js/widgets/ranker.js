// Ranking by slots: answers side by side in full, a strip of places below, digits, dragging, and keys for all of it.
// .answers, .ranking (the model), .seen (a set of letters), .remarks(letter) (own grades, or nothing), .offer (more tools).

import { announce, h } from "../html.js";
import { ordinal } from "../ranking.js";
import { answerText } from "./answer.js";
import { tell } from "./choices.js";
import { draggable } from "./drag.js";
import { watchSeen } from "./seen.js";

export class Ranker extends HTMLElement {
  #differing = false;

  connectedCallback() {
    if (this.cards) return;
    this.letters = this.answers.map((answer) => answer.letter);
    this.current = this.ranking.missing[0] ?? this.letters[0];
    this.cards = new Map(this.answers.map((answer) => [answer.letter, this.#card(answer)]));
    this.strip = h("div.strip", { role: "group", "aria-label": "Places" });
    this.proposal = h("div.notice.proposal", { hidden: true });
    const jumps = h("div.jumps", { role: "group", "aria-label": "Answers" }, this.letters.map((letter) => h("button.small", { type: "button", "data-jump": letter, onclick: () => this.focusAnswer(letter) }, letter)));
    const tool = (words, key, run, attributes = {}) => h("button.quiet.small", { type: "button", onclick: run, ...attributes }, words, " ", h("kbd", { "aria-hidden": "true" }, key));
    this.differences = tool("Differences", this.letters.length > 3 ? "⇧D" : "D", () => this.toggleDifferences(), { "aria-pressed": "false" });
    this.tools = h("div.row.tools", {}, this.differences, tool("Undo", "Z", () => this.undo()), tool("Redo", "Y", () => this.undo(true)), this.offer ?? []);
    this.replaceChildren(this.proposal, this.tools, jumps, h("div.columns", { "data-count": this.letters.length }, [...this.cards.values()]), this.strip);
    this.watcher = watchSeen([...this.cards.values()], (letter) => this.#look(letter));
    this.draw();
  }

  disconnectedCallback() {
    this.watcher?.disconnect();
  }

  /** Go to an answer: it has the keys now, and it can be seen. */
  focusAnswer(letter) {
    if (!this.cards.has(letter)) return;
    this.current = letter;
    this.draw();
    const card = this.cards.get(letter);
    card.focus({ preventScroll: true });
    const { top, bottom } = card.getBoundingClientRect();
    if (top > innerHeight * 0.6 || bottom < 120) card.scrollIntoView({ block: "nearest" });
    this.#look(letter);
  }

  focus() {
    this.focusAnswer(this.current);
  }

  step(by) {
    const at = this.letters.indexOf(this.current) + by;
    if (at >= 0 && at < this.letters.length) this.focusAnswer(this.letters[at]);
  }

  /** Put the answer into a slot and go on to one that has none. */
  place(letter, slot, advance = true) {
    if (!this.ranking.place(letter, slot)) return;
    this.#changed(`Answer ${letter} placed ${this.ranking.describe(letter)}`);
    const { missing } = this.ranking;
    if (advance && missing.length) {
      const after = missing.find((other) => this.letters.indexOf(other) > this.letters.indexOf(letter)) ?? missing[0];
      this.focusAnswer(after);
    }
  }

  act(name, done) {
    if (!done) return announce(`${name}: nothing changes`);
    return this.#changed(`Answer ${this.current}: ${this.ranking.describe(this.current)}`);
  }

  confirm() {
    if (!this.ranking.confirm()) return false;
    this.#changed(`Order confirmed: ${this.#spoken()}`);
    return true;
  }

  undo(redo = false) {
    const before = this.ranking.slots;
    if (!(redo ? this.ranking.redo() : this.ranking.undo())) return announce(redo ? "Nothing to redo" : "Nothing to undo");
    const moved = this.letters.filter((letter) => before[letter] !== this.ranking.slots[letter]);
    if (moved.length === 1) this.focusAnswer(moved[0]);
    return this.#changed(`${redo ? "Done again" : "Undone"}. ${this.#spoken()}`);
  }

  toggleDifferences() {
    this.#differing = !this.#differing;
    this.differences.setAttribute("aria-pressed", String(this.#differing));
    this.draw();
    announce(this.#differing ? `What answer ${this.current} does not have is marked in the others` : "Texts as they are");
  }

  /** Keys of this page. */
  get bindings() {
    const { ranking, letters } = this;
    const upper = letters.map((letter) => letter.toLowerCase());
    const digits = letters.map((_, at) => String(at + 1));
    return [
      { keys: upper, shown: [letters[0], "…", letters.at(-1)], label: "go to that answer", run: (key) => this.focusAnswer(key.toUpperCase()) },
      { keys: digits, shown: ["1", "…", digits.at(-1)], label: ranking.ties ? "put it in that place; the same place is a tie" : "put it in that place", run: (key) => this.place(this.current, Number(key)) },
      { keys: ["j", "ArrowRight"], label: "next answer", run: () => this.step(1), repeat: true },
      { keys: ["k", "ArrowLeft"], label: "previous answer", run: () => this.step(-1), repeat: true },
      { keys: ["Shift+J"], label: "move it down", run: () => this.act("Down", ranking.move(this.current, 1)) },
      { keys: ["Shift+K"], label: "move it up", run: () => this.act("Up", ranking.move(this.current, -1)) },
      ...(ranking.ties ? [{ keys: ["="], label: "tie it with the one above", run: () => this.act("Tie", ranking.tie(this.current)) }] : []),
      { keys: ["0", "Delete", "Backspace"], shown: ["0"], label: "take it out again", run: () => this.act("Out", this.current in ranking.slots && ranking.clear(this.current)) },
      { keys: ["z", "Ctrl+z"], label: "undo", run: () => this.undo(), repeat: true },
      { keys: ["y", "Ctrl+Shift+z", "Ctrl+y"], shown: ["Y"], label: "redo", run: () => this.undo(true), repeat: true },
      { keys: ["d", "Shift+D"], label: "show what differs from the answer in focus", run: () => this.toggleDifferences() },
    ];
  }

  /** Show the model as it is now. */
  draw() {
    const { ranking } = this;
    const focused = this.answers.find((answer) => answer.letter === this.current);
    for (const [letter, card] of this.cards) {
      const here = letter === this.current;
      card.classList.toggle("current", here);
      card.tabIndex = here ? 0 : -1;
      card.setAttribute("aria-label", `Answer ${letter}, ${ranking.describe(letter)}`);
      card.place.textContent = ranking.describe(letter);
      card.place.classList.toggle("placed", letter in ranking.slots);
      for (const [slot, input] of card.slots) input.checked = ranking.slots[letter] === slot;
      const remarks = this.remarks?.(letter) ?? [];
      card.remarks.replaceChildren(...remarks.map((remark) => h("span.tag", {}, remark)));
      const difference = this.#differing && !here ? focused.text : null;
      if (card.shown !== difference) {
        card.shown = difference;
        card.text.against?.(difference);
      }
    }
    for (const jump of this.querySelectorAll("[data-jump]")) {
      const letter = jump.dataset.jump;
      jump.setAttribute("aria-pressed", String(letter === this.current));
      jump.classList.toggle("unseen", !this.seen.has(letter));
      jump.textContent = letter in ranking.slots ? `${letter} ${ranking.slots[letter]}` : letter;
    }
    this.proposal.hidden = !ranking.proposed;
    if (ranking.proposed && !this.proposal.childElementCount) {
      this.proposal.append(
        h("span", {}, "This order comes from your own grades, equal grades tied. It counts once you confirm or change it."),
        h("button.small", { type: "button", onclick: () => this.confirm() }, "Confirm the order ", h("kbd", { "aria-hidden": "true" }, "Enter")),
      );
    }
    this.#drawStrip();
  }

  #drawStrip() {
    const { ranking, letters } = this;
    const cells = letters.map((_, at) => {
      const slot = at + 1;
      const name = slot === 1 ? "1st, best" : ordinal(slot);
      const here = letters.filter((letter) => ranking.slots[letter] === slot);
      return h("div.slot", { "data-slot": slot, role: "group", "aria-label": `${name}: ${here.join(", ") || "empty"}` }, h("span.slot-name", {}, ordinal(slot), slot === 1 ? h("span.wide-only", {}, " · best") : null), here.map((letter) => this.#chip(letter)));
    });
    const rest = ranking.missing;
    const tray = h("div.slot.tray", { "data-slot": 0, role: "group", "aria-label": `Not placed: ${rest.join(", ") || "none"}` }, h("span.slot-name", {}, rest.length ? "Not placed" : "All placed"), rest.map((letter) => this.#chip(letter)));
    this.strip.replaceChildren(tray, ...cells);
    this.strip.classList.toggle("proposed", ranking.proposed);
  }

  #chip(letter) {
    const chip = h("button.chip", { type: "button", "aria-label": `Go to answer ${letter}`, onclick: () => this.focusAnswer(letter) }, letter);
    chip.classList.toggle("current", letter === this.current);
    this.#drags(chip, letter);
    return chip;
  }

  #card(answer) {
    const { letter } = answer;
    const text = answerText(answer);
    const slots = new Map();
    const buttons = this.letters.map((_, at) => {
      const slot = at + 1;
      const input = h("input", {
        type: "radio",
        name: `place-${letter}`,
        onchange: () => {
          this.current = letter;
          this.place(letter, slot, false);
          this.#look(letter);
        },
      });
      slots.set(slot, input);
      return h("label.option", {}, input, h("span.option-face", {}, h("span.sr-only", {}, `Answer ${letter} `), String(slot)));
    });
    const grip = h("span.letter", { title: "Drag to a place" }, letter);
    const place = h("span.place", {});
    const remarks = h("span.remarks", {});
    const card = h(
      "section.answer-card",
      { role: "group", tabindex: -1, "data-letter": letter, onpointerdown: (event) => this.#touch(letter, event) },
      h("header", {}, grip, place, remarks),
      h("fieldset.field.options.slots", {}, h("legend.sr-only", {}, `Place of answer ${letter}`), h("div.option-row", {}, buttons)),
      h("div.answer-body", {}, text),
    );
    Object.assign(card, { slots, place, remarks, text, shown: null });
    this.#drags(grip, letter);
    return card;
  }

  #drags(handle, letter) {
    draggable(handle, {
      label: letter,
      targetAt: (element) => element?.closest("[data-slot]") ?? null,
      drop: (target) => {
        this.current = letter;
        const slot = Number(target.dataset.slot);
        if (slot) this.place(letter, slot, false);
        else if (this.ranking.clear(letter)) this.#changed(`Answer ${letter} is out again`);
      },
    });
  }

  #touch(letter, event) {
    if (letter === this.current || event.target.closest("input, a, button, label")) return;
    this.current = letter;
    this.draw();
  }

  #changed(words) {
    this.draw();
    announce(words);
    tell(this, "tiers", this.ranking.tiers);
  }

  #spoken() {
    return this.ranking.order.map((tied, at) => `${ordinal(at + 1)} ${tied.join(" and ")}`).join(", ");
  }

  #look(letter) {
    if (this.seen.has(letter)) return;
    this.seen.add(letter);
    this.draw();
    tell(this, "seen", letter);
  }
}

customElements.define("heed-ranker", Ranker);
