"""The page's own reasoning (orders, sorting, differences) against slow and obvious accounts of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from browser.bench import Bench, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def modules(bench: Bench, browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = open_page(context, bench, bench.labeler(), "/guideline")
    page.evaluate(
        """async () => {
            const base = document.querySelector('script[type=module]').src.replace(/app\\.js$/, '');
            for (const name of ['ranking', 'sorting', 'diff', 'state', 'keys']) {
                window[name] = await import(`${base}${name}.js`);
            }
            window.draw = (seed) => () => {
                seed = (seed * 1664525 + 1013904223) % 4294967296;
                return seed / 4294967296;
            };
        }"""
    )
    yield page
    context.close()


def test_random_moves_keep_an_order_an_order_and_undo_takes_each_back(modules: Page) -> None:
    wrong = modules.evaluate(
        """() => {
            const wrong = [];
            for (let seed = 1; seed <= 300; seed += 1) {
                const random = draw(seed);
                const pick = (list) => list[Math.floor(random() * list.length)];
                const letters = [...'ABCDEFGHI'].slice(0, 2 + Math.floor(random() * 8));
                const model = new ranking.Ranking(letters, seed % 3 > 0);
                const states = [JSON.stringify(model.slots)];
                for (let step = 0; step < 25; step += 1) {
                    const letter = pick(letters);
                    const before = JSON.stringify(model.slots);
                    const done = pick([
                        () => model.place(letter, 1 + Math.floor(random() * letters.length)),
                        () => model.move(letter, pick([-1, 1])),
                        () => model.tie(letter),
                        () => letter in model.slots && model.clear(letter),
                    ])();
                    if (done) states.push(JSON.stringify(model.slots));
                    else if (JSON.stringify(model.slots) !== before) wrong.push(['refused but changed', seed]);
                    const slots = Object.values(model.slots);
                    if (slots.some((slot) => slot < 1 || slot > letters.length)) wrong.push(['out of range', seed]);
                    if (!model.ties && new Set(slots).size < slots.length) wrong.push(['tie', seed]);
                    const tiers = [...new Set(Object.values(model.tiers))].sort((a, b) => a - b);
                    if (tiers.some((tier, at) => tier !== at)) wrong.push(['gap', seed]);
                    for (const a of letters) for (const b of letters) {
                        const [x, y] = [model.slots[a], model.slots[b]];
                        const tiers = model.tiers;
                        if (x && y && Math.sign(x - y) !== Math.sign(tiers[a] - tiers[b])) wrong.push(['order', seed]);
                    }
                }
                while (states.length > 1) {
                    if (JSON.stringify(model.slots) !== states.pop()) wrong.push(['history', seed]);
                    model.undo();
                }
                if (Object.keys(model.slots).length || model.canUndo) wrong.push(['beginning', seed]);
            }
            return wrong.slice(0, 5);
        }"""
    )
    assert wrong == []


def test_moving_one_answer(modules: Page) -> None:
    tiers = modules.evaluate(
        """() => {
            const after = (slots, act) => {
                const model = new ranking.Ranking('ABCD');
                model.restore({ slots });
                act(model);
                return model.order.map((tier) => tier.join('')).join(' ');
            };
            const fresh = (act) => {
                const model = new ranking.Ranking('ABCD');
                act(model);
                return model.order.map((tier) => tier.join('')).join(' ');
            };
            return [
                after({ A: 1, B: 2, C: 3, D: 4 }, (model) => model.move('C', -1)),
                after({ A: 1, B: 1, C: 1, D: 2 }, (model) => model.move('B', -1)),
                after({ A: 1, B: 1, C: 1, D: 2 }, (model) => model.move('B', 1)),
                after({ A: 1, B: 2, C: 2, D: 3 }, (model) => model.tie('D')),
                after({ A: 1, B: 2, C: 3, D: 4 }, (model) => model.tie('A')),
                fresh((model) => model.propose({ A: 5, B: 7, C: 5, D: 1 })),
                fresh((model) => { model.place('A', 3); model.propose({ A: 5, B: 7, C: 5, D: 1 }); }),
                fresh((model) => model.propose({ A: 5, B: 7, C: 5 })),
            ];
        }"""
    )
    assert tiers == ["A C B D", "B AC D", "AC B D", "A BCD", "A B C D", "B AC D", "A", ""]


def test_sorting_by_questions_finds_any_weak_order_within_its_bound(modules: Page) -> None:
    worst = modules.evaluate(
        """() => {
            const worst = {};
            for (let seed = 1; seed <= 400; seed += 1) {
                const random = draw(seed);
                const letters = [...'ABCDEFGHI'].slice(0, 2 + (seed % 8));
                const rank = Object.fromEntries(letters.map((one) => [one, Math.floor(random() * letters.length * 2)]));
                const sort = new sorting.Sorting(letters);
                let asked = 0;
                const bound = sort.left;
                while (!sort.done) {
                    const { fresh, against } = sort.question;
                    const by = rank[fresh] - rank[against];
                    asked += 1;
                    sort.answer(by < 0 ? 'better' : by > 0 ? 'worse' : 'same');
                    if (asked % 3 === 0) { sort.undo(); sort.answer(by < 0 ? 'better' : by > 0 ? 'worse' : 'same'); }
                }
                const found = sort.order.map((tier) => tier.map((one) => rank[one]));
                const even = found.every((tier) => tier.every((one) => one === tier[0]));
                const right = even && found.every((tier, at) => !at || found[at - 1][0] < tier[0]);
                if (!right || asked > bound) return { seed, found, asked, bound };
                worst[letters.length] = Math.max(worst[letters.length] ?? 0, bound);
            }
            return worst;
        }"""
    )
    assert worst == {"2": 1, "3": 3, "4": 5, "5": 8, "6": 11, "7": 14, "8": 17, "9": 21}


def test_a_difference_rebuilds_both_texts_and_keeps_as_much_as_possible(modules: Page) -> None:
    wrong = modules.evaluate(
        """() => {
            const { diff: compare, words } = diff;
            const slow = (a, b) => {
                if (!a.length || !b.length) return 0;
                const best = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
                for (let i = 1; i <= a.length; i += 1) for (let j = 1; j <= b.length; j += 1) {
                    const longer = Math.max(best[i - 1][j], best[i][j - 1]);
                    best[i][j] = a[i - 1] === b[j - 1] ? best[i - 1][j - 1] + 1 : longer;
                }
                return best[a.length][b.length];
            };
            const bag = ['a', 'b', 'c', ' ', ' ', ',', 'Seine', '\\n', 'Ünï'];
            for (let seed = 1; seed <= 400; seed += 1) {
                const random = draw(seed);
                const word = () => bag[Math.floor(random() * bag.length)];
                const text = () => Array.from({ length: Math.floor(random() * 14) }, word).join('');
                const [before, after] = [text(), text()];
                const pieces = compare(before, after);
                const of = (...kinds) => pieces.filter(([one]) => kinds.includes(one)).map(([, part]) => part);
                const only = (kind) => of('same', kind).join('');
                const kept = of('same').flatMap(words).length;
                if (only('out') !== before || only('in') !== after) return { seed, before, after, pieces };
                if (kept !== slow(words(before), words(after))) return { seed, before, after, kept };
            }
            return null;
        }"""
    )
    assert wrong is None
