"""The tables, as the code sees them today. What makes them, step by step, is in ``migrations/``.

The database keeps its own promises: judgements are append-only, a person has at most one live assignment of an item,
a ranking can only place answers that were shown, and its tiers have no gaps. Names follow the loop: an *item* is one
question put to labelers (a prompt, perhaps with candidate answers, under one version of a form and a guideline); an
*assignment* gives it to one of them; a *response* is what came back.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from heed.store.columns import ExactText, Floats, Integers, JsonText

REVISIONS = ("0001", "0002", "0003")
"""Every schema version, oldest first."""

metadata = MetaData()

prompt = Table(
    "prompt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("record_id", ExactText, nullable=False, unique=True),
    Column("messages", JsonText, nullable=False),
    Column("source", ExactText, nullable=False),
    Column("category", ExactText, nullable=False),
    Column("author", ExactText, nullable=False),
    Column("split", ExactText, nullable=False),
    Column("meta", JsonText, nullable=False),
    Column("created_at", DateTime, nullable=False),
)

generation = Table(  # every answer, by a person or a model
    "generation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("prompt_id", ForeignKey("prompt.id"), nullable=False),
    Column("record_id", ExactText, nullable=False),
    Column("text", ExactText, nullable=False),
    Column("token_ids", Integers, nullable=False),
    Column("logprobs", Floats, nullable=False),
    Column("stop", Text, nullable=False),
    Column("policy", ExactText, nullable=False),
    Column("meta", JsonText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    UniqueConstraint("prompt_id", "record_id"),
    CheckConstraint("stop IN ('eos', 'stop', 'length', 'written')", name="generation_stop"),
)

labeler = Table(
    "labeler",
    metadata,
    Column("id", ExactText, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("labeler_group", Text, nullable=False),
    Column("withdrawn_at", DateTime),
    Column("created_at", DateTime, nullable=False),
    CheckConstraint("kind IN ('human', 'model', 'simulated')", name="labeler_kind"),
    CheckConstraint("labeler_group IN ('training', 'heldout')", name="labeler_group_name"),
)

form = Table(  # append-only: a changed form is a new version
    "form",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("definition", JsonText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    UniqueConstraint("name", "version"),
    CheckConstraint("version >= 1", name="form_version"),
)

guideline = Table(  # append-only: a changed guideline is a new version
    "guideline",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False, unique=True),
    Column("markdown", ExactText, nullable=False),
    Column("created_at", DateTime, nullable=False),
    CheckConstraint("version >= 1", name="guideline_version"),
)

_FREE = text("reserved_for IS NULL AND slots_open > 0")
_RESERVED = text("reserved_for IS NOT NULL AND slots_open > 0")

item = Table(
    "item",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content_key", Text, unique=True),
    Column("campaign", ExactText, nullable=False),
    Column("round", Integer, nullable=False),
    Column("prompt_id", ForeignKey("prompt.id"), nullable=False),
    Column("form_id", ForeignKey("form.id"), nullable=False),
    Column("guideline_id", ForeignKey("guideline.id")),
    Column("priority", Float, nullable=False, server_default=text("0")),
    Column("slots_total", Integer, nullable=False),
    Column("slots_open", Integer, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("purpose", Text, nullable=False, server_default=text("'ordinary'")),
    Column("audience", Text, nullable=False, server_default=text("'training'")),
    Column("arm", Text, nullable=False, server_default=text("'random'")),
    Column("gold", JsonText),
    Column("origin_id", ForeignKey("item.id")),
    Column("reserved_for", ForeignKey("labeler.id")),
    CheckConstraint("purpose IN ('ordinary', 'gold', 'anchor', 'recheck', 'screening')", name="item_purpose"),
    CheckConstraint("audience IN ('training', 'heldout')", name="item_audience"),
    CheckConstraint("arm IN ('random', 'ensemble')", name="item_arm"),
    CheckConstraint("slots_open >= 0 AND slots_open <= slots_total", name="item_slots"),
    CheckConstraint("round >= 0", name="item_round"),
    Index("item_prompt", "prompt_id"),
    Index(  # how the next item is found: the lowest priority number first
        "item_open",
        "campaign",
        "purpose",
        "audience",
        "priority",
        "id",
        sqlite_where=_FREE,
        postgresql_where=_FREE,
    ),
    Index("item_reserved", "reserved_for", sqlite_where=_RESERVED, postgresql_where=_RESERVED),
    Index("item_origin", "origin_id"),
)

item_candidate = Table(  # append-only: what was shown, in this order
    "item_candidate",
    metadata,
    Column("item_id", ForeignKey("item.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("generation_id", ForeignKey("generation.id"), nullable=False),
    CheckConstraint("ordinal >= 0", name="item_candidate_ordinal"),
    Index("item_candidate_generation", "generation_id"),
)

_LIVE = text("state IN ('leased', 'submitted')")
_LEASED = text("state = 'leased'")
_FIRST = text("supersedes IS NULL")

assignment = Table(
    "assignment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_id", ForeignKey("item.id"), nullable=False),
    Column("labeler_id", ForeignKey("labeler.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("lease_token", Text, unique=True),
    Column("lease_until", DateTime),
    Column("order_seed", Integer, nullable=False, server_default=text("0")),
    Column("served_at", DateTime, nullable=False),
    Column("submitted_at", DateTime),
    Column("active_ms", Integer),
    Column("idle_ms", Integer),
    Column("first_input_at", DateTime),
    Column("device", Text),
    UniqueConstraint("item_id", "labeler_id", "attempt"),
    UniqueConstraint("id", "item_id"),
    CheckConstraint("state IN ('leased', 'submitted', 'skipped', 'expired', 'returned')", name="assignment_state"),
    CheckConstraint("(state = 'submitted') = (submitted_at IS NOT NULL)", name="assignment_submitted"),
    CheckConstraint("state <> 'leased' OR lease_until IS NOT NULL", name="assignment_lease"),
    Index("assignment_live", "item_id", "labeler_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
    Index("assignment_labeler", "labeler_id", "id"),
    Index("assignment_held", "labeler_id", sqlite_where=_LEASED, postgresql_where=_LEASED),
    Index("assignment_due", "lease_until", sqlite_where=_LEASED, postgresql_where=_LEASED),
)

response = Table(  # append-only: a change of mind is a new response that supersedes the old one
    "response",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("assignment_id", Integer, nullable=False),
    Column("item_id", Integer, nullable=False),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("said_key", Text, nullable=False),
    Column("supersedes", Integer, unique=True),
    Column("created_at", DateTime, nullable=False),
    UniqueConstraint("id", "item_id"),
    UniqueConstraint("id", "assignment_id"),
    ForeignKeyConstraint(["assignment_id", "item_id"], ["assignment.id", "assignment.item_id"]),
    ForeignKeyConstraint(["supersedes", "assignment_id"], ["response.id", "response.assignment_id"]),
    Index("response_first", "assignment_id", unique=True, sqlite_where=_FIRST, postgresql_where=_FIRST),
    Index("response_item", "item_id"),
    Index("response_said", "said_key"),
    Index("response_created", "created_at"),
)

rank_tier = Table(  # append-only; equal tiers are ties, 0 is best
    "rank_tier",
    metadata,
    Column("response_id", Integer, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("item_id", Integer, nullable=False),
    Column("tier", Integer, nullable=False),
    ForeignKeyConstraint(["response_id", "item_id"], ["response.id", "response.item_id"]),
    ForeignKeyConstraint(["item_id", "ordinal"], ["item_candidate.item_id", "item_candidate.ordinal"]),
    CheckConstraint("tier >= 0", name="rank_tier_range"),
)

answer = Table(  # append-only: one question of the form, about the whole item or about one candidate
    "answer",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("response_id", Integer, nullable=False),
    Column("item_id", Integer, nullable=False),
    Column("question", Text, nullable=False),
    Column("ordinal", Integer),
    Column("generation_id", ForeignKey("generation.id")),
    Column("value_number", Float),
    Column("value_text", Text),
    ForeignKeyConstraint(["response_id", "item_id"], ["response.id", "response.item_id"]),
    ForeignKeyConstraint(["item_id", "ordinal"], ["item_candidate.item_id", "item_candidate.ordinal"]),
    CheckConstraint(
        "generation_id IS NOT NULL OR value_number IS NOT NULL OR value_text IS NOT NULL", name="answer_value"
    ),
    Index(
        "answer_item",
        "response_id",
        "question",
        unique=True,
        sqlite_where=text("ordinal IS NULL"),
        postgresql_where=text("ordinal IS NULL"),
    ),
    Index("answer_candidate", "response_id", "question", "ordinal", unique=True),  # also finds those of a response
)

note = Table(  # what a labeler remarks; apart from the answers, so that a person's words can be removed
    "note",
    metadata,
    Column("response_id", ForeignKey("response.id"), primary_key=True),
    Column("text", ExactText, nullable=False),
)

export = Table(  # append-only: a frozen data set
    "export",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("manifest", JsonText, nullable=False),
    Column("created_at", DateTime, nullable=False),
)

export_response = Table(  # append-only: the judgements in a frozen data set
    "export_response",
    metadata,
    Column("export_id", ForeignKey("export.id"), primary_key=True),
    Column("response_id", ForeignKey("response.id"), primary_key=True),
    Index("export_response_response", "response_id"),
)

export_prompt = Table(  # append-only: the prompts in a frozen data set
    "export_prompt",
    metadata,
    Column("export_id", ForeignKey("export.id"), primary_key=True),
    Column("prompt_id", ForeignKey("prompt.id"), primary_key=True),
    Index("export_prompt_prompt", "prompt_id"),
)

model = Table(
    "model",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", ExactText, nullable=False, unique=True),
    Column("parent_id", ForeignKey("model.id")),
    Column("export_id", ForeignKey("export.id")),
    Column("config_hash", Text, nullable=False),
    Column("stage", ExactText, nullable=False),
    Column("metrics", JsonText, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("created_at", DateTime, nullable=False),
    CheckConstraint("parent_id <> id", name="model_parent"),
    Index("model_parent_index", "parent_id"),
    Index("model_export", "export_id"),
)

model_use = Table(  # models that helped to make one, such as the reward model behind a policy
    "model_use",
    metadata,
    Column("model_id", ForeignKey("model.id"), primary_key=True),
    Column("used_id", ForeignKey("model.id"), primary_key=True),
    Index("model_use_used", "used_id"),
)

run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("recipe", ExactText, nullable=False),
    Column("config", JsonText, nullable=False),
    Column("config_hash", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", ExactText, nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("ended_at", DateTime),
    CheckConstraint("state IN ('running', 'done', 'failed')", name="run_state"),
    CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="run_ended"),
)
