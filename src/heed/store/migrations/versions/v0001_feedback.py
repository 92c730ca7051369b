"""Prompts, answers, the people who judge them, and their judgements."""

import sqlalchemy as sa
from alembic import op

from heed.store import dialect

revision = "0001"
down_revision = None

LIVE = sa.text("state IN ('leased', 'submitted')")
FIRST = sa.text("supersedes IS NULL")
OPEN = sa.text("slots_open > 0")
WHOLE = sa.text("ordinal IS NULL")
PART = sa.text("ordinal IS NOT NULL")


def upgrade() -> None:
    """Create the tables of the human half of the loop."""
    _prompts_and_answers()
    _people_and_questions()
    _items_and_assignments()
    _responses()
    for table in ("form", "guideline", "item_candidate", "response", "rank_tier", "answer"):
        dialect.make_append_only(op.get_bind(), table)
    dialect.keep_tiers_dense(op.get_bind())
    op.execute(
        """
        CREATE VIEW comparison AS
        SELECT best.response_id, best.item_id, chosen.generation_id AS chosen_id, rejected.generation_id AS rejected_id
        FROM rank_tier AS best
        JOIN rank_tier AS worst ON worst.response_id = best.response_id AND best.tier < worst.tier
        JOIN item_candidate AS chosen ON chosen.item_id = best.item_id AND chosen.ordinal = best.ordinal
        JOIN item_candidate AS rejected ON rejected.item_id = worst.item_id AND rejected.ordinal = worst.ordinal
        WHERE NOT EXISTS (SELECT 1 FROM response AS newer WHERE newer.supersedes = best.response_id)
        """
    )


def _prompts_and_answers() -> None:
    op.create_table(
        "prompt",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("record_id", sa.Text, nullable=False, unique=True),
        sa.Column("messages", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("split", sa.Text, nullable=False),
        sa.Column("meta", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("prompt_id", sa.Integer, sa.ForeignKey("prompt.id"), nullable=False),
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("token_ids", sa.LargeBinary, nullable=False),
        sa.Column("logprobs", sa.LargeBinary, nullable=False),
        sa.Column("stop", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("meta", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("prompt_id", "record_id"),
        sa.CheckConstraint("stop IN ('eos', 'stop', 'length', 'written')", name="generation_stop"),
    )


def _people_and_questions() -> None:
    op.create_table(
        "labeler",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("labeler_group", sa.Text, nullable=False),
        sa.Column("withdrawn_at", sa.DateTime),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint("kind IN ('human', 'model', 'simulated')", name="labeler_kind"),
        sa.CheckConstraint("labeler_group IN ('training', 'heldout')", name="labeler_group_name"),
    )
    op.create_table(
        "form",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("name", "version"),
        sa.CheckConstraint("version >= 1", name="form_version"),
    )
    op.create_table(
        "guideline",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False, unique=True),
        sa.Column("markdown", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint("version >= 1", name="guideline_version"),
    )


def _items_and_assignments() -> None:
    op.create_table(
        "item",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("content_key", sa.Text, unique=True),
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("prompt_id", sa.Integer, sa.ForeignKey("prompt.id"), nullable=False),
        sa.Column("form_id", sa.Integer, sa.ForeignKey("form.id"), nullable=False),
        sa.Column("guideline_id", sa.Integer, sa.ForeignKey("guideline.id")),
        sa.Column("priority", sa.Float, nullable=False, server_default=sa.text("0")),
        sa.Column("slots_total", sa.Integer, nullable=False),
        sa.Column("slots_open", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint("slots_open >= 0 AND slots_open <= slots_total", name="item_slots"),
        sa.CheckConstraint("round >= 0", name="item_round"),
    )
    op.create_index("item_prompt", "item", ["prompt_id"])
    op.create_index("item_open", "item", ["priority", "id"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "item_candidate",
        sa.Column("item_id", sa.Integer, sa.ForeignKey("item.id"), primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("generation_id", sa.Integer, sa.ForeignKey("generation.id"), nullable=False),
        sa.CheckConstraint("ordinal >= 0", name="item_candidate_ordinal"),
    )
    op.create_index("item_candidate_generation", "item_candidate", ["generation_id"])
    op.create_table(
        "assignment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item_id", sa.Integer, sa.ForeignKey("item.id"), nullable=False),
        sa.Column("labeler_id", sa.Text, sa.ForeignKey("labeler.id"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lease_token", sa.Text, unique=True),
        sa.Column("lease_until", sa.DateTime),
        sa.Column("order_seed", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("served_at", sa.DateTime, nullable=False),
        sa.Column("submitted_at", sa.DateTime),
        sa.Column("active_ms", sa.Integer),
        sa.Column("idle_ms", sa.Integer),
        sa.UniqueConstraint("item_id", "labeler_id", "attempt"),
        sa.UniqueConstraint("id", "item_id"),
        sa.CheckConstraint(
            "state IN ('leased', 'submitted', 'skipped', 'expired', 'returned')", name="assignment_state"
        ),
        sa.CheckConstraint("(state = 'submitted') = (submitted_at IS NOT NULL)", name="assignment_submitted"),
        sa.CheckConstraint("state <> 'leased' OR lease_until IS NOT NULL", name="assignment_lease"),
    )
    op.create_index(
        "assignment_live",
        "assignment",
        ["item_id", "labeler_id"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )
    op.create_index("assignment_labeler", "assignment", ["labeler_id"])


def _responses() -> None:
    op.create_table(
        "response",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("assignment_id", sa.Integer, nullable=False),
        sa.Column("item_id", sa.Integer, nullable=False),
        sa.Column("idempotency_key", sa.Text, nullable=False, unique=True),
        sa.Column("said_key", sa.Text, nullable=False),
        sa.Column("supersedes", sa.Integer, unique=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("id", "item_id"),
        sa.UniqueConstraint("id", "assignment_id"),
        sa.ForeignKeyConstraint(["assignment_id", "item_id"], ["assignment.id", "assignment.item_id"]),
        sa.ForeignKeyConstraint(["supersedes", "assignment_id"], ["response.id", "response.assignment_id"]),
    )
    op.create_index(
        "response_first", "response", ["assignment_id"], unique=True, sqlite_where=FIRST, postgresql_where=FIRST
    )
    op.create_index("response_item", "response", ["item_id"])
    op.create_index("response_said", "response", ["said_key"])
    op.create_table(
        "rank_tier",
        sa.Column("response_id", sa.Integer, primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("item_id", sa.Integer, nullable=False),
        sa.Column("tier", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["response_id", "item_id"], ["response.id", "response.item_id"]),
        sa.ForeignKeyConstraint(["item_id", "ordinal"], ["item_candidate.item_id", "item_candidate.ordinal"]),
        sa.CheckConstraint("tier >= 0", name="rank_tier_range"),
    )
    op.create_table(
        "answer",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("response_id", sa.Integer, nullable=False),
        sa.Column("item_id", sa.Integer, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("ordinal", sa.Integer),
        sa.Column("generation_id", sa.Integer, sa.ForeignKey("generation.id")),
        sa.Column("value_number", sa.Float),
        sa.Column("value_text", sa.Text),
        sa.ForeignKeyConstraint(["response_id", "item_id"], ["response.id", "response.item_id"]),
        sa.ForeignKeyConstraint(["item_id", "ordinal"], ["item_candidate.item_id", "item_candidate.ordinal"]),
        sa.CheckConstraint(
            "generation_id IS NOT NULL OR value_number IS NOT NULL OR value_text IS NOT NULL", name="answer_value"
        ),
    )
    op.create_index(
        "answer_item", "answer", ["response_id", "question"], unique=True, sqlite_where=WHOLE, postgresql_where=WHOLE
    )
    op.create_index(
        "answer_candidate",
        "answer",
        ["response_id", "question", "ordinal"],
        unique=True,
        sqlite_where=PART,
        postgresql_where=PART,
    )
    op.create_table(
        "note",
        sa.Column("response_id", sa.Integer, sa.ForeignKey("response.id"), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
