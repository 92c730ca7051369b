// A task on the page, drawn from its form: the prompt, the answers, each question as its widget, and their keys.

import { announce, h } from "./html.js";
import { answerText, promptTurns } from "./widgets/answer.js";
import { strengthSteps, widget } from "./widgets/choices.js";
import "./widgets/editor.js";
import "./widgets/examples.js";
import { GradePanel } from "./widgets/grading.js";
import "./widgets/ranker.js";
import { watchSeen } from "./widgets/seen.js";
import "./widgets/sorter.js";

const TAGS = { answer: "heed-editor", text: "heed-editor", likert: "heed-likert", flag: "heed-yes-no", choice: "heed-choice", choices: "heed-choices", examples: "heed-examples", strength: "heed-strength" };
const MANY = 6;

export class TaskView {
  #stage = h("div.stage", {});
  #watcher = null;

  /** `changed()` is told of every change, `changed(false)` of what was only looked at; `submit()` hands the task in. */
  constructor(task, state, { changed, submit }) {
    this.task = task;
    this.state = state;
    this.changed = changed;
    this.submit = submit;
    this.widgets = new Map();
    this.sorter = null;
    this.grading = state.ofCandidate.length ? new GradePanel(state, () => this.changed()) : null;
    this.step = this.grading ? this.#firstOpen() : "rest";
    this.element = h("div.task", { "data-task": task.task, "onheed:value": (event) => this.#take(event), "onheed:done": () => this.enter() });
    this.element.append(this.#heading(), ...(this.grading ? [this.stepper()] : []), this.#stage);
    this.show(this.step);
  }

  close() {
    this.#watcher?.disconnect();
  }

  /** Steps: each answer, then the rest. */
  get steps() {
    return this.grading ? [...this.state.letters, "rest"] : ["rest"];
  }

  stepper() {
    this.step_list = h("nav.steps", { "aria-label": "Steps" });
    return this.step_list;
  }

  /** Draw a step: an answer to grade, or what concerns them all. */
  show(step) {
    this.step = step;
    this.#watcher?.disconnect();
    this.sorter = null;
    this.element.classList.toggle("grading", step !== "rest");
    if (step === "rest") {
      this.state.ranking?.propose(this.state.grades);
      this.#stage.replaceChildren(...this.#rest());
    } else {
      this.#stage.replaceChildren(this.#prompt(), ...this.grading.draw(step));
      this.state.seen.add(step);
    }
    this.refresh();
  }

  /** Put the focus where work begins. */
  focus() {
    if (this.step !== "rest") this.grading.focus();
    else if (this.ranker) this.ranker.focus();
    else {
      const first = [...this.widgets.values()].find((one) => one.isConnected);
      const coarse = matchMedia("(pointer: coarse)").matches;
      if (first?.box && !coarse) first.focus();
      else this.element.querySelector("h1").focus({ preventScroll: true });
    }
  }

  /** Show what has changed in the model. */
  refresh() {
    for (const question of this.state.ofItem) {
      const place = this.widgets.get(question.name);
      if (place) place.hidden = !this.state.asks(question);
    }
    const labels = { rest: this.state.ranking ? "Ranking" : "The rest" };
    this.step_list?.replaceChildren(
      ...this.steps.map((step) => {
        const done = this.state.done.has(step);
        const face = step === "rest" ? labels.rest : `${step}${done ? " ✓" : ""}`;
        return h("button.small", { type: "button", "aria-current": step === this.step ? "step" : null, "aria-label": step === "rest" ? labels.rest : `Answer ${step}${done ? ", done" : ""}`, onclick: () => this.go(step) }, face);
      }),
    );
  }

  go(step) {
    this.show(step);
    this.changed(false);
    this.focus();
    scrollTo({ top: 0 });
  }

  /** What Enter does here. */
  enter() {
    if (this.step !== "rest") {
      const problem = this.grading.finish();
      if (problem) return announce(problem);
      const next = this.state.letters.find((letter) => !this.state.done.has(letter)) ?? "rest";
      this.go(next);
      this.changed();
      return announce(next === "rest" ? "All graded. Now the ranking." : `Now answer ${next}`);
    }
    if (this.ranker?.isConnected && this.ranker.confirm()) return null;
    return this.submit();
  }

  /** Keys of this step. */
  get bindings() {
    const open = { keys: ["p", "Shift+P"], label: "remarks on the prompt", run: () => this.openPromptFlags() };
    const enter = { keys: ["Enter"], label: this.step === "rest" ? "hand it in" : "done with this answer", run: () => this.enter() };
    if (this.sorter) return this.sorter.bindings;
    const prompt = this.promptFlags ? [open] : [];
    if (this.step !== "rest") return [...this.grading.bindings, ...this.#walk(), enter, ...prompt];
    const back = this.grading ? [{ keys: ["Shift+R"], label: "back to the grades", run: () => this.go(this.state.letters[0]) }] : [];
    const sort = this.ranker && this.state.letters.length > 2 ? [{ keys: ["q"], label: "sort by questions: two at a time", run: () => this.sort() }] : [];
    return [...(this.ranker?.bindings ?? []), ...sort, ...this.#ofWidgets(), enter, ...back, ...prompt];
  }

  openPromptFlags() {
    this.promptFlags.open = true;
    this.promptFlags.querySelector("input").focus();
  }

  /** Ask about two answers at a time. */
  sort() {
    this.sorter = document.createElement("heed-sorter");
    this.sorter.answers = this.task.answers;
    const back = () => {
      this.show("rest");
      this.focus();
    };
    this.sorter.addEventListener("heed:sorted", ({ detail }) => {
      for (const letter of this.state.letters) this.state.seen.add(letter);
      this.state.ranking.adopt(detail.order);
      back();
      this.changed();
      announce("All are in order. Enter hands it in.");
    });
    this.sorter.addEventListener("heed:left", back);
    this.#stage.replaceChildren(this.#prompt(true), this.sorter);
  }

  #firstOpen() {
    return this.state.letters.find((letter) => !this.state.done.has(letter)) ?? "rest";
  }

  #heading() {
    const { title, instruction } = this.task;
    return h("div.task-head", {}, h("h1", { tabindex: -1 }, title), instruction ? h("p.muted", {}, instruction) : null);
  }

  #walk() {
    const to = (by) => () => {
      const step = this.steps[this.steps.indexOf(this.step) + by];
      if (step) this.go(step);
    };
    return [
      { keys: ["j", "ArrowRight"], label: "next", run: to(1) },
      { keys: ["k", "ArrowLeft", "Backspace"], label: "back", run: to(-1) },
    ];
  }

  #take({ detail: { name, value } }) {
    if (this.state.ofItem.some((question) => question.name === name)) this.state.item[name] = value;
    this.refresh();
    this.changed(name !== "seen");
  }

  #prompt(folded = false) {
    const flags = this.state.ofItem.filter((question) => question.kind === "flag" && !question.required);
    this.promptFlags = null;
    if (flags.length) {
      const box = document.createElement("heed-flags");
      Object.assign(box, { questions: flags, values: this.state.item, heading: "The prompt …" });
      this.promptFlags = h("details.prompt-flags", { open: flags.some(({ name }) => this.state.item[name] === true) }, h("summary", {}, "Remarks on the prompt ", h("kbd", { "aria-hidden": "true" }, "P")), box);
    }
    const turns = promptTurns(this.task);
    return h(`section.prompt-part${folded ? ".folded" : ""}`, { "aria-label": this.task.brief ? "What is wanted" : "Prompt" }, h("h2.part-name", {}, this.task.brief ? "What is wanted" : "Prompt"), turns, this.promptFlags);
  }

  #rest() {
    const { state, task } = this;
    this.ranker = null;
    this.widgets.clear();
    for (const question of state.ofItem) {
      if (question.kind === "flag" && !question.required) continue;
      this.widgets.set(question.name, this.#widget(question));
    }
    const questions = [...this.widgets.values()];
    if (state.ranking) {
      this.ranker = document.createElement("heed-ranker");
      Object.assign(this.ranker, { answers: task.answers, ranking: state.ranking, seen: state.seen });
      if (this.grading) this.ranker.remarks = (letter) => this.grading.remarks(letter);
      const many = state.letters.length >= MANY;
      const offer = h(`button.small${many ? "" : ".quiet"}`, { type: "button", onclick: () => this.sort() }, "Sort by questions ", h("kbd", { "aria-hidden": "true" }, "Q"));
      this.ranker.offer = state.letters.length > 2 ? [offer, many ? h("span.muted.small", {}, "Many answers: the page can ask about two at a time.") : null] : [];
      return [this.#prompt(true), this.ranker, ...questions];
    }
    if (task.task === "edit" || !task.answers.length) {
      return [this.#prompt(), h("section.questions.stack", { "aria-label": "Your part" }, questions)];
    }
    const cards = task.answers.map((answer) => h("section.answer-card", { "data-letter": answer.letter, "aria-label": `Answer ${answer.letter}`, role: "group" }, h("header", {}, h("span.letter", {}, answer.letter)), h("div.answer-body", {}, answerText(answer))));
    this.#watcher = watchSeen(cards, (letter) => {
      if (state.seen.has(letter)) return;
      state.seen.add(letter);
      this.changed(false);
    });
    return [this.#prompt(true), h("div.columns", { "data-count": cards.length }, cards), h("section.questions.stack", { "aria-label": "Your part" }, questions)];
  }

  #widget(question) {
    const element = widget(TAGS[question.kind], question, this.state.item[question.name]);
    if (this.state.original !== null && question.kind === "answer") {
      element.original = this.state.original;
      this.state.seen.add(this.state.letters[0]);
    }
    if (question.kind === "text") {
      element.preview = false;
      element.rows = question.name === "use_case" ? 3 : 7;
    }
    return element;
  }

  #ofWidgets() {
    const shown = [...this.widgets.values()].filter((one) => !one.hidden);
    const choosing = shown.filter((one) => one.inputs);
    const editor = shown.find((one) => one.details);
    const examples = shown.find((one) => one.add);
    const bindings = [];
    if (editor) bindings.push({ keys: ["v", "Shift+V"], label: "preview", run: () => editor.togglePreview() });
    if (shown.some((one) => one.box)) bindings.push({ keys: ["e"], label: "write", run: () => shown.find((one) => one.box).focus() }, { keys: [], shown: ["Escape"], label: "leave the text box, so that keys work" });
    if (examples) bindings.push({ keys: ["+"], label: "add an example", run: () => examples.add() });
    if (!choosing.length) return bindings;
    const now = () => choosing.find((one) => one.contains(document.activeElement)) ?? choosing.find((one) => one.value === undefined) ?? choosing.at(-1);
    const strength = choosing.find((one) => one.question.kind === "strength");
    if (strength) bindings.push(...strengthBindings(strength));
    const yes = choosing.find((one) => one.question.kind === "flag");
    if (yes) bindings.push({ keys: ["y"], label: "yes", run: () => now().choose?.(true) }, { keys: ["n"], label: "no", run: () => now().choose?.(false) });
    const longest = Math.min(9, Math.max(...choosing.map((one) => one.inputs.size)));
    const digits = Array.from({ length: longest }, (_, at) => String(at + 1));
    if (!strength) bindings.push({ keys: digits, shown: ["1", "…", digits.at(-1)], label: "choose", run: (key) => choose(now(), Number(key)) });
    return bindings;
  }
}

function choose(element, number) {
  const options = [...element.inputs.keys()];
  const option = element.question.kind === "likert" ? options.find((one) => one === number) : options[number - 1];
  if (option === undefined) return;
  if (element.flip) element.flip(option);
  else element.choose(option);
}

/** Keys of a choice between two: digits from left to right, or arrows step by step. */
export function strengthBindings(element) {
  const steps = strengthSteps(element.question);
  const digits = steps.map((_, at) => String(at + 1));
  const move = (by) => () => {
    const at = steps.indexOf(element.value);
    const start = by < 0 ? steps.findLast((step) => step < 0) : steps.find((step) => step > 0);
    const next = at < 0 ? start : steps[at + by];
    if (next !== undefined) element.choose(next);
  };
  return [
    { keys: digits, shown: ["1", "…", digits.at(-1)], label: "from the left one to the right one", run: (key) => element.choose(steps[Number(key) - 1]) },
    { keys: ["ArrowLeft"], label: "more for the left one", run: move(-1) },
    { keys: ["ArrowRight"], label: "more for the right one", run: move(1) },
    ...(element.question.ties ? [{ keys: ["="], label: "equal", run: () => element.choose(0) }] : []),
  ];
}
