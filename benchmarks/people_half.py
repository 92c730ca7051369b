"""The people's half of the loop from end to end, in the real studio, with simulated people.

    python benchmarks/people_half.py DIR
    python benchmarks/people_half.py DIR --small        minutes instead of half an hour, and no figures worth quoting

An empty workspace; a crew comes in by invitation and is screened; it writes demonstrations in the app; a model is
fine-tuned on them; its answers are ranked in the app by the same people, some of whom have begun to answer the
opposite; they are found, and withdrawn; reward models are trained with and without what they said; PPO follows the
second. Everything is done by ``heed`` commands and over HTTP; what is true is known, and only measured with here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise as pairwise_of
from pathlib import Path
from typing import Any

from heed.cli.models import open_local_sampler, open_reward_scorer
from heed.evaluation.preference_accuracy import accuracy, score_pairs
from heed.feedback.concord import meetings, pairwise
from heed.feedback.crew.gang import Outcome, Shift, run_shift
from heed.feedback.crew.hiring import Hiring, Recruit, hire
from heed.feedback.crew.minds import gradable
from heed.feedback.quality import judged_of
from heed.feedback.screening import screen
from heed.feedback.suspicion import suspicions
from heed.files import write_json
from heed.form_library import LIBRARY
from heed.records import Completion, Ranking
from heed.roles import Decoding
from heed.sandbox import GoldScorer, World
from heed.stats import Estimate, win_rate
from heed.store import Store, Workspace
from heed.store.lines import to_line
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns, CampaignSettings
from heed.store.studio.people import People
from heed.store.studio.screening import Screening
from heed.store.studio.simulated import invite_crew, mark_simulated
from heed.store.studio.standing import Standing
from heed.store.studio.works import Which

try:
    from benchmarks.serving import Server
except ModuleNotFoundError:  # started as a script
    from serving import Server  # type: ignore[import-not-found,no-redef]

REPORT = "people_half.json"
NUM_GOLD = 60
"""Ranking items whose answer the lead knows: all answers clearly apart."""
APART = 1.0
"""Grades of the world by which the answers of such an item differ at least."""


CREW = Hiring(honest=12, noisy=1, lazy=1, hostile=2, heldout=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything."""

    demonstrations: int = 4000
    ranked: int = 10_000
    evaluated: int = 700
    hiring: Hiring = CREW
    settings: tuple[str, ...] = ("reward.epochs=2", "ppo.iterations=150")
    base: tuple[str, ...] = ()


SMALL = Size(
    demonstrations=200,
    ranked=300,
    evaluated=60,
    hiring=Hiring(honest=4, hostile=1, heldout=1),
    settings=("sft.epochs=2", "ppo.iterations=3", "ppo.prompts_per_round=32", "ppo.minibatch=32"),
    base=("pretrain.tokens=300000",),
)


class Project:
    """One run of it."""

    def __init__(self, root: Path, size: Size, seed: int) -> None:
        self.root, self.size, self.seed = root, size, seed
        self.world = World(seed)
        self.place = root / "workspace"
        self.report: dict[str, Any] = {"seed": seed, "size": asdict(size), "seconds": {}, "accounts": {}}
        if (root / REPORT).exists():  # it was interrupted
            self.report = json.loads((root / REPORT).read_text())
        self.accounts: dict[str, str] = self.report["accounts"]

    def run(self) -> None:
        """From nothing to a policy."""
        steps = (
            self.base_model, self.empty_workspace, self.demonstrations, self.fine_tuning, self.rankings,
            self.quality, self.reward_models, self.policy,
        )  # fmt: skip
        for step in steps:
            if step.__name__ in self.report["seconds"]:
                continue
            start = time.monotonic()
            step()
            self.report["seconds"][step.__name__] = round(time.monotonic() - start)
            write_json(self.root / REPORT, self.report)
            print(f"{step.__name__}: {self.report['seconds'][step.__name__]} s", file=sys.stderr)

    def base_model(self) -> None:
        """A model that has read, and was never told anything; in a workspace of its own."""
        stages = [f"--only={name}" for name in ("text", "base-start", "base")]
        self.heed("run", "sandbox", "--workspace", self.root / "base", "--seed", self.seed, *stages,
                  *(f"--set={one}" for one in self.size.base))  # fmt: skip
        with (self.root / "text.jsonl").open("w", encoding="utf-8") as file:
            words = 3_000_000 if self.size is not SMALL else 100_000
            for document in self.world.pretraining_text(words, seed=self.seed):
                file.write(json.dumps({"text": document}) + "\n")

    def empty_workspace(self) -> None:
        """Prompts from a file, an owner, and what people are screened by."""
        self.heed("init", self.place)
        prompts = self.world.prompts("train", self.size.demonstrations + self.size.ranked, seed=self.seed)
        (self.root / "prompts.jsonl").write_text("".join(map(to_line, prompts)), encoding="utf-8")
        self.heed("import", f"heed:{self.root / 'prompts.jsonl'}", "--workspace", self.place, "--quiet")
        with self.store() as store:
            People(store).join(People(store).owner_link(), "Olga", None)
            store.add_guideline("Helpful, then true, then harmless. Answer what was asked, and nothing else.\n")
            self._screening(store)

    def demonstrations(self) -> None:
        """The crew comes in, is screened, and writes."""
        self.heed("ask", "demonstrations", "--form", "write", "--limit", self.size.demonstrations,
                  "--seed", self.seed, "--workspace", self.place)  # fmt: skip
        outcome = self.shift("demonstrations", self._recruits(new=True))
        self.report["demonstrations"] = self._told(outcome)

    def fine_tuning(self) -> None:
        """A model that imitates what was written."""
        common = (
            "--workspace",
            self.place,
            "--seed",
            self.seed,
            f"--set=base={self.root / 'base/models/base'}",
            f"--set=data=text:{self.root / 'text.jsonl'}",
            *(f"--set={one}" for one in self.size.settings),
        )
        self.heed("run", "labels", *common, "--only=text", "--only=base")
        self.heed("train", "sft", "--workspace", self.place, "--campaign", "demonstrations", "--quiet")

    def rankings(self) -> None:
        """Four answers of the model to each prompt, ranked by the same people; some have turned."""
        self.heed("ask", "rankings", "--form", "rank", "--model", "sft", "--answers", 4, "--limit", self.size.ranked,
                  "--heldout", 0.06, "--overlap", 0.15, "--seed", self.seed + 1, "--workspace", self.place)  # fmt: skip
        with self.store() as store:
            self.report["gold_items"] = Campaigns(store).add_items("rankings", self._gold(store))
        outcome = self.shift("rankings", self._recruits(new=False))
        self.report["rankings"] = self._told(outcome)

    def quality(self) -> None:
        """What the lead's pages say: agreement, and whom to look at. Those named as hostile are withdrawn."""
        names = {account: name for name, account in self.accounts.items()}
        with self.store() as store:
            said = Standing(store).said(Which(campaign="rankings"))
            ordinary = judged_of(one for one in said if one.purpose == "ordinary")
            honest = [one for one in ordinary if names[one.labeler].startswith(("honest", "heldout"))]
            named = suspicions(said)
            self.report["agreement"] = {
                "everyone": _figure(pairwise(meetings(ordinary), "drop").estimate),
                "honest": _figure(pairwise(meetings(honest), "drop").estimate),
            }
            self.report["named"] = [
                {"name": names[one.labeler], "sign": one.sign, "why": one.why}
                for one in named
                if one.sign != "fast"  # all of them are, since nobody here waits for as long as reading takes
            ]
            self.report["hostile"] = [one.labeler for one in named if one.sign == "hostile"]

    def reward_models(self) -> None:
        """One of everything that was said, one without those who were found; each against what is true."""
        pairs = self._true_pairs()
        train = ("train", "reward", "--workspace", self.place, "--campaign", "rankings", "--quiet")
        self.heed(*train)
        self.report["reward_with"] = self._accuracy(pairs)
        with self.store() as store:
            owner = next(one for one in People(store).accounts() if one.role == "owner")
            for labeler in self.report["hostile"]:
                Standing(store).withdraw(labeler, owner.id, "answers the opposite of what is right")
        if self.report["hostile"]:
            self.heed(*train)
        self.report["reward_without"] = self._accuracy(pairs)

    def policy(self) -> None:
        """PPO, against the model it began from, on prompts that nothing was chosen by."""
        self.heed("train", "ppo", "--workspace", self.place, "--quiet")
        prompts = self.world.prompts("final", self.size.evaluated, seed=self.seed)
        decoding = Decoding(max_new_tokens=48, temperature=0.0, seed=0)
        gold = GoldScorer(self.world)
        scores = {
            name: [group[0] for group in gold.score(prompts, open_local_sampler(self.place, name).sample(
                prompts, 1, decoding))]
            for name in ("sft", "ppo-ptx")
        }  # fmt: skip
        won = win_rate(scores["ppo-ptx"], scores["sft"])
        self.report["policy"] = {
            "gold_sft": sum(scores["sft"]) / len(prompts),
            "gold_ppo": sum(scores["ppo-ptx"]) / len(prompts),
            "win_rate": won.as_json(),
        }

    # --- people

    def shift(self, campaign: str, recruits: Sequence[Recruit]) -> Outcome:
        """Everyone works in the studio until nothing is left."""
        server = Server(self.place)
        server.start()
        try:
            shift = Shift(url=server.url, speed=1e5, campaign=campaign, seed=self.seed, drafts=False, polite=True)
            return asyncio.run(run_shift(recruits, shift, joined=self._accept))
        finally:
            server.kill()

    def _recruits(self, new: bool) -> list[Recruit]:
        with self.store() as store:
            crew = hire(self.size.hiring, gradable(store.prompts()), world_seed=self.seed, seed=self.seed)
            if new:
                links = invite_crew(store, [one.group for one in crew])
            else:
                crew = [one for one in crew if one.name in self.accounts]
                links = [People(store).login_link(self.accounts[one.name], None) for one in crew]
            invited = [replace(one, invitation=link) for one, link in zip(crew, links, strict=True)]
        if new:  # nobody means harm yet
            return [replace(one, character=replace(one.character, name="honest")) for one in invited]
        return invited

    def _accept(self, accounts: Mapping[str, str]) -> None:
        """The lead reads the screening and decides; whoever is there already stays."""
        if self.accounts:
            return
        with self.store() as store:
            mark_simulated(store, list(accounts.values()))
            owner = next(one for one in People(store).accounts() if one.role == "owner")
            screening, known = Screening(store), gradable(store.prompts())
            figures = {}
            for name, account in accounts.items():
                for written in screening.written(account):
                    answer = Completion(text=written.looked.written)
                    prompt = known[written.looked.prompt.text]
                    ((grade,),) = GoldScorer(self.world).score([prompt], [[answer]])
                    rating = min(max(round(3 + grade), 1), 7)
                    screening.rate(account, written.looked.said.response_id, rating, owner.id)
                ratings = {one.looked.said.response_id: [score for _, score in one.ratings]
                           for one in screening.written(account)}  # fmt: skip
                found = screen(screening.said(account), ratings, screening.topics().get(account))
                bad = [part.part for part in found.parts if part.standing == "below" and part.part != "demonstration"]
                figures[name] = {part.part: _figure(part.figure.estimate) for part in found.parts}
                screening.decide(account, accept=not bad, note="", by=owner.id, figures={})
                if not bad:
                    self.accounts[name] = account
            self.report["screening"] = {"accepted": sorted(self.accounts), "figures": figures}

    def _screening(self, store: Store) -> None:
        """What the world knows about prompts that are used for nothing else."""
        prompts = [replace(one, split="screening") for one in self.world.prompts("test", 400, seed=self.seed + 7)]
        rude = [one for one in prompts if one.meta.get("insult")][:8]
        calm = [one for one in prompts if not one.meta.get("insult")]
        flags = [Ask(prompt=one, purpose="screening", gold={"item": {"sensitive": int(bool(one.meta.get("insult")))}})
                 for one in [*rude, *calm[:8]]]  # fmt: skip
        ranked = []
        for prompt in calm[8:60]:
            texts = [self.world.ideal(prompt), self.world.mistaken(prompt) or "", "What a day!"]
            candidates = tuple(Completion(text=text, policy="lead") for text in dict.fromkeys(texts) if text)
            (grades,) = GoldScorer(self.world).score([prompt], [candidates])
            if len(candidates) == 3 and len(ranked) < 20:
                known = Ranking.from_scores(prompt, candidates, grades)
                ranked.append(Ask(prompt=prompt, candidates=candidates, purpose="screening",
                                  gold={"tiers": list(known.tiers)}))  # fmt: skip
        writing = [Ask(prompt=one, purpose="screening") for one in rude[:4]]
        for name, form, asks in (("sensitive", "sensitive", flags), ("ranking", "rank", ranked),
                                 ("writing", "write", writing)):  # fmt: skip
            Campaigns(store).create(f"screening {name}", LIBRARY[form], settings=CampaignSettings(), state="active")
            Campaigns(store).add_items(f"screening {name}", asks)

    def _gold(self, store: Store) -> list[Ask]:
        """Items whose answers are clearly apart, as the lead ranks them."""
        asks = []
        groups = [one for one in store.generations(policy="sft") if len(one.completions) >= 4]
        random.Random(self.seed).shuffle(groups)
        for group in groups:
            completions = group.completions[:4]
            (grades,) = GoldScorer(self.world).score([group.prompt], [completions])
            order = sorted(grades)
            if min(b - a for a, b in pairwise_of(order)) >= APART / 2 and order[-1] - order[0] >= 2:
                known = Ranking.from_scores(group.prompt, completions, grades)
                asks.append(Ask(prompt=group.prompt, candidates=completions, purpose="gold",
                                gold={"tiers": list(known.tiers), "reason": "The lead's ranking."}))  # fmt: skip
        return asks[:NUM_GOLD]

    # --- figures

    def _true_pairs(self) -> list[Ranking]:
        """Answers of the fine-tuned model to fresh prompts, ranked by what is true."""
        prompts = self.world.prompts("test", self.size.evaluated, seed=self.seed)
        answers = open_local_sampler(self.place, "sft").sample(prompts, 4, Decoding(max_new_tokens=48, temperature=1.0,
                                                                                    seed=5))  # fmt: skip
        scores = GoldScorer(self.world).score(prompts, answers)
        return [Ranking.from_scores(*one) for one in zip(prompts, answers, scores, strict=True)]

    def _accuracy(self, pairs: Sequence[Ranking]) -> dict[str, Any]:
        scorer = open_reward_scorer(self.place, "reward")
        said = json.loads((self.place / "runs/reward/accuracy.json").read_text())
        return {
            "truth": accuracy(score_pairs(scorer, pairs)).as_json(),
            "validation": said["validation"],
            "heldout": said.get("heldout"),
        }

    def _told(self, outcome: Outcome) -> dict[str, Any]:
        return {
            "answers": outcome.answers,
            "seconds": round(outcome.seconds),
            "retries": outcome.retries,
            "errors": outcome.errors,
            "resumed": sum(one.resumed for one in outcome.diaries),
            "replayed": sum(one.replayed for one in outcome.diaries),
        }

    def store(self) -> Store:
        """The workspace's database."""
        return Workspace.open(self.place).store()

    def heed(self, *arguments: object) -> None:
        """One command, as on a command line."""
        command = [sys.executable, "-c", "from heed.cli.app import main; main()", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"heed {' '.join(map(str, arguments))}: {done.stderr[-3000:]}")


def _figure(estimate: Estimate | None) -> dict[str, float] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    project = Project(given.directory.resolve(), SMALL if given.small else Size(), given.seed)
    project.run()
    print(json.dumps(project.report, indent=2))


if __name__ == "__main__":
    main()
