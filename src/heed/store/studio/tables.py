"""The studio's tables: who may come in, what is being worked on, and what the lead decided about it.

They stand beside the tables of the loop (:mod:`heed.store.schema`) in one database. What people judged is there;
here is how it came about.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, Float, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy import UniqueConstraint as Unique

from heed.store.columns import ExactText, JsonText
from heed.store.schema import metadata

campaign = Table(  # a batch of work under one form and one guideline
    "campaign",
    metadata,
    Column("name", ExactText, primary_key=True),
    Column("form_id", ForeignKey("form.id"), nullable=False),
    Column("guideline_id", ForeignKey("guideline.id")),
    Column("state", Text, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    CheckConstraint("state IN ('draft', 'active', 'paused', 'done')", name="campaign_state"),
)

account = Table(  # a person who may sign in; the labeler row of the same id carries the work
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("labeler_id", ForeignKey("labeler.id"), nullable=False, unique=True),
    Column("name", ExactText, nullable=False),
    Column("name_key", ExactText, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("password_hash", Text),
    Column("settings", JsonText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("seen_at", DateTime),
    CheckConstraint("role IN ('owner', 'lead', 'labeler')", name="account_role"),
    CheckConstraint("status IN ('onboarding', 'screening', 'active', 'paused', 'closed')", name="account_status"),
)

invitation = Table(  # a link that works once: to join, or (with an account) to come back in
    "invitation",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", ForeignKey("account.id")),
    Column("role", Text, nullable=False),
    Column("labeler_group", Text, nullable=False),
    Column("note", ExactText, nullable=False),
    Column("created_by", ForeignKey("account.id")),
    Column("created_at", DateTime, nullable=False),
    Column("expires_at", DateTime, nullable=False),
    Column("used_at", DateTime),
    Column("used_by", ForeignKey("account.id")),
    CheckConstraint("role IN ('owner', 'lead', 'labeler')", name="invitation_role"),
    CheckConstraint("labeler_group IN ('training', 'heldout')", name="invitation_group"),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("seen_at", DateTime, nullable=False),
    Column("expires_at", DateTime, nullable=False),
    Column("device", ExactText, nullable=False),
    Index("session_account", "account_id"),
)

attempt = Table(  # failed sign-ins, by account or address, for throttling across workers
    "attempt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("who", Text, nullable=False),
    Column("at", DateTime, nullable=False),
    Index("attempt_who", "who", "at"),
)

draft = Table(
    "draft",
    metadata,
    Column("assignment_id", ForeignKey("assignment.id"), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("saved_at", DateTime, nullable=False),
)

skip = Table(
    "skip",
    metadata,
    Column("assignment_id", ForeignKey("assignment.id"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("note", ExactText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    CheckConstraint(
        "reason IN ('unclear', 'too_hard', 'upsetting', 'language', 'personal_data', 'broken', 'other')",
        name="skip_reason",
    ),
)

place = Table(  # how far a labeler has been through a queue: only a hint, so that finished items are not passed again
    "place",
    metadata,
    Column("labeler_id", ForeignKey("labeler.id"), primary_key=True),
    Column("campaign", ExactText, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("audience", Text, primary_key=True),
    Column("priority", Float, nullable=False),
    Column("item_id", Integer, nullable=False),
    Column("set_at", DateTime, nullable=False),
)

response_part = Table(  # append-only: the records a response holds besides its first, such as grades beside a ranking
    "response_part",
    metadata,
    Column("response_id", ForeignKey("response.id"), primary_key=True),
    Column("said_key", Text, primary_key=True),
    Index("response_part_said", "said_key"),
)

written_prompt = Table(  # append-only: a prompt that was itself the answer to a task
    "written_prompt",
    metadata,
    Column("response_id", ForeignKey("response.id"), primary_key=True),
    Column("prompt_id", ForeignKey("prompt.id"), nullable=False),
    Index("written_prompt_prompt", "prompt_id"),
)

conversation = Table(  # a live chat with two models; each turn is an item with two candidates
    "conversation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("labeler_id", ForeignKey("labeler.id"), nullable=False),
    Column("campaign", ForeignKey("campaign.name"), nullable=False),
    Column("policies", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", DateTime, nullable=False),
    CheckConstraint("state IN ('open', 'done')", name="conversation_state"),
    Index("conversation_labeler", "labeler_id"),
)

turn = Table(
    "turn",
    metadata,
    Column("conversation_id", ForeignKey("conversation.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("item_id", ForeignKey("item.id"), nullable=False, unique=True),
)

screening_result = Table(  # append-only
    "screening_result",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("labeler_id", ForeignKey("labeler.id"), nullable=False),
    Column("part", Text, nullable=False),
    Column("response_id", ForeignKey("response.id")),
    Column("score", Float, nullable=False),
    Column("detail", JsonText, nullable=False),
    Column("decided_by", ForeignKey("account.id")),
    Column("created_at", DateTime, nullable=False),
    CheckConstraint(
        "part IN ('training', 'sensitive', 'ranking', 'demonstration', 'topics', 'decision')", name="screening_part"
    ),
    Index("screening_result_labeler", "labeler_id"),
)

adjudication = Table(  # append-only: what the lead found about an item on which labelers differ
    "adjudication",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_id", ForeignKey("item.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("response_id", ForeignKey("response.id")),
    Column("cause", Text, nullable=False),
    Column("note", ExactText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    CheckConstraint(
        "cause IN ('ambiguous', 'guideline_gap', 'labeler_error', 'model_error', 'equal', 'other')",
        name="adjudication_cause",
    ),
    Index("adjudication_item", "item_id"),
)

feedback = Table(  # a word from a lead to a labeler
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("labeler_id", ForeignKey("labeler.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("response_id", ForeignKey("response.id")),
    Column("text", ExactText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("read_at", DateTime),
    Index("feedback_labeler", "labeler_id"),
)

appeal = Table(  # a labeler who thinks the gold answer, or a lead, is wrong
    "appeal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("response_id", ForeignKey("response.id"), nullable=False),
    Column("labeler_id", ForeignKey("labeler.id"), nullable=False),
    Column("text", ExactText, nullable=False),
    Column("state", Text, nullable=False),
    Column("answer", ExactText, nullable=False),
    Column("decided_by", ForeignKey("account.id")),
    Column("created_at", DateTime, nullable=False),
    Column("decided_at", DateTime),
    Unique("response_id"),
    CheckConstraint("state IN ('open', 'accepted', 'rejected')", name="appeal_state"),
    CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="appeal_decided"),
    Index("appeal_labeler", "labeler_id"),
)

score = Table(  # what reward models think of an answer; never sent to a labeling page
    "score",
    metadata,
    Column("generation_id", ForeignKey("generation.id"), primary_key=True),
    Column("model", ExactText, primary_key=True),
    Column("value", Float, nullable=False),
    Column("created_at", DateTime, nullable=False),
)

event = Table(  # append-only: who decided what about the project; each row's hash covers the row before it
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("object", ExactText, nullable=False),
    Column("detail", JsonText, nullable=False),
    Column("previous_hash", Text, nullable=False, unique=True),
    Column("hash", Text, nullable=False, unique=True),
)

redaction = Table(  # append-only: whose data was removed, and what had been made from it
    "redaction",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("reason", ExactText, nullable=False),
    Column("affected", JsonText, nullable=False),
    Column("at", DateTime, nullable=False),
)

job = Table(  # a training run that was started from the studio
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("export_id", ForeignKey("export.id")),
    Column("command", JsonText, nullable=False),
    Column("directory", ExactText, nullable=False),
    Column("state", Text, nullable=False),
    Column("process", Integer),
    Column("message", ExactText, nullable=False),
    Column("figures", JsonText, nullable=False),
    Column("created_by", ForeignKey("account.id"), nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("ended_at", DateTime),
    CheckConstraint("kind IN ('sft', 'reward')", name="job_kind"),
    CheckConstraint("state IN ('running', 'done', 'failed', 'stopped')", name="job_state"),
    CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="job_ended"),
    Index("job_running", "kind", unique=True, sqlite_where=text("state = 'running'"),
          postgresql_where=text("state = 'running'")),
)  # fmt: skip

APPEND_ONLY = ("response_part", "written_prompt", "screening_result", "adjudication", "event", "redaction")
"""Tables whose rows never change."""
