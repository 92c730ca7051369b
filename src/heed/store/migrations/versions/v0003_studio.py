"""The labeling studio: who may come in, campaigns, the queue, and what the lead decides."""

import sqlalchemy as sa
from alembic import op

from heed.store import dialect

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables of the studio, and give items and assignments what its queue needs."""
    _items()
    _comparison()
    _attempt()
    _event()
    _redaction()
    _account()
    _campaign()
    _conversation()
    _invitation()
    _job()
    _score()
    _session()
    _draft()
    _skip()
    _turn()
    _place()
    _adjudication()
    _appeal()
    _feedback()
    _response_part()
    _screening_result()
    _written_prompt()
    for table in ("response_part", "written_prompt", "screening_result", "adjudication", "event", "redaction"):
        dialect.make_append_only(op.get_bind(), table)


def _items() -> None:
    for column in (  # spelled out, since SQLite takes a constraint with its column or never
        "purpose TEXT NOT NULL DEFAULT 'ordinary' CONSTRAINT item_purpose "
        "CHECK (purpose IN ('ordinary', 'gold', 'anchor', 'recheck', 'screening'))",
        "audience TEXT NOT NULL DEFAULT 'training' CONSTRAINT item_audience "
        "CHECK (audience IN ('training', 'heldout'))",
        "arm TEXT NOT NULL DEFAULT 'random' CONSTRAINT item_arm CHECK (arm IN ('random', 'ensemble'))",
        "gold TEXT",
        "origin_id INTEGER REFERENCES item (id)",
        "reserved_for TEXT REFERENCES labeler (id)",
    ):
        op.execute(f"ALTER TABLE item ADD COLUMN {column}")
    op.drop_index("item_open", table_name="item")
    op.add_column("assignment", sa.Column("first_input_at", sa.DateTime, nullable=True))
    op.add_column("assignment", sa.Column("device", sa.Text, nullable=True))
    op.create_index(
        "assignment_due",
        "assignment",
        ["lease_until"],
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.drop_index("answer_candidate", table_name="answer")
    op.create_index("answer_candidate", "answer", ["response_id", "question", "ordinal"], unique=True)
    op.drop_index("assignment_labeler", table_name="assignment")
    op.create_index("assignment_labeler", "assignment", ["labeler_id", "id"])
    op.create_index(
        "assignment_held",
        "assignment",
        ["labeler_id"],
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "item_open",
        "item",
        ["campaign", "purpose", "audience", "priority", "id"],
        sqlite_where=sa.text("reserved_for IS NULL AND slots_open > 0"),
        postgresql_where=sa.text("reserved_for IS NULL AND slots_open > 0"),
    )
    op.create_index("item_origin", "item", ["origin_id"])
    op.create_index("response_created", "response", ["created_at"])
    op.create_index(
        "item_reserved",
        "item",
        ["reserved_for"],
        sqlite_where=sa.text("reserved_for IS NOT NULL AND slots_open > 0"),
        postgresql_where=sa.text("reserved_for IS NOT NULL AND slots_open > 0"),
    )


def _comparison() -> None:
    op.execute("DROP VIEW comparison")
    op.execute(
        """
        CREATE VIEW comparison AS
        SELECT best.response_id, best.item_id, chosen.generation_id AS chosen_id, rejected.generation_id AS rejected_id
        FROM rank_tier AS best
        JOIN item ON item.id = best.item_id AND item.purpose = 'ordinary'
        JOIN rank_tier AS worst ON worst.response_id = best.response_id AND best.tier < worst.tier
        JOIN item_candidate AS chosen ON chosen.item_id = best.item_id AND chosen.ordinal = best.ordinal
        JOIN item_candidate AS rejected ON rejected.item_id = worst.item_id AND rejected.ordinal = worst.ordinal
        WHERE NOT EXISTS (SELECT 1 FROM response AS newer WHERE newer.supersedes = best.response_id)
        """
    )


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("attempt_who", "attempt", ["who", "at"])


def _place() -> None:
    op.create_table(
        "place",
        sa.Column("labeler_id", sa.Text, nullable=False),
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("priority", sa.Float, nullable=False),
        sa.Column("item_id", sa.Integer, nullable=False),
        sa.Column("set_at", sa.DateTime, nullable=False),
        sa.ForeignKeyConstraint(["labeler_id"], ["labeler.id"]),
        sa.PrimaryKeyConstraint("labeler_id", "campaign", "purpose", "audience"),
    )


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        sa.UniqueConstraint("previous_hash"),
    )


def _redaction() -> None:
    op.create_table(
        "redaction",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("affected", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("labeler_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=True),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=True),
        sa.CheckConstraint("role IN ('owner', 'lead', 'labeler')", name="account_role"),
        sa.CheckConstraint(
            "status IN ('onboarding', 'screening', 'active', 'paused', 'closed')", name="account_status"
        ),
        sa.ForeignKeyConstraint(["labeler_id"], ["labeler.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("labeler_id"),
        sa.UniqueConstraint("name_key"),
    )


def _campaign() -> None:
    op.create_table(
        "campaign",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("form_id", sa.Integer, nullable=False),
        sa.Column("guideline_id", sa.Integer, nullable=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint("state IN ('draft', 'active', 'paused', 'done')", name="campaign_state"),
        sa.ForeignKeyConstraint(["form_id"], ["form.id"]),
        sa.ForeignKeyConstraint(["guideline_id"], ["guideline.id"]),
        sa.PrimaryKeyConstraint("name"),
    )


def _conversation() -> None:
    op.create_table(
        "conversation",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("labeler_id", sa.Text, nullable=False),
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("policies", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint("state IN ('open', 'done')", name="conversation_state"),
        sa.ForeignKeyConstraint(["campaign"], ["campaign.name"]),
        sa.ForeignKeyConstraint(["labeler_id"], ["labeler.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("conversation_labeler", "conversation", ["labeler_id"])


def _invitation() -> None:
    op.create_table(
        "invitation",
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("labeler_group", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.Column("used_at", sa.DateTime, nullable=True),
        sa.Column("used_by", sa.Text, nullable=True),
        sa.CheckConstraint("labeler_group IN ('training', 'heldout')", name="invitation_group"),
        sa.CheckConstraint("role IN ('owner', 'lead', 'labeler')", name="invitation_role"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"]),
        sa.ForeignKeyConstraint(["used_by"], ["account.id"]),
        sa.PrimaryKeyConstraint("token_hash"),
    )


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("export_id", sa.Integer, nullable=True),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("directory", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("process", sa.Integer, nullable=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime, nullable=True),
        sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="job_ended"),
        sa.CheckConstraint("kind IN ('sft', 'reward')", name="job_kind"),
        sa.CheckConstraint("state IN ('running', 'done', 'failed', 'stopped')", name="job_state"),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"]),
        sa.ForeignKeyConstraint(["export_id"], ["export.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "job_running",
        "job",
        ["kind"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _score() -> None:
    op.create_table(
        "score",
        sa.Column("generation_id", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"]),
        sa.PrimaryKeyConstraint("generation_id", "model"),
    )


def _session() -> None:
    op.create_table(
        "session",
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("csrf", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("session_account", "session", ["account_id"])


def _draft() -> None:
    op.create_table(
        "draft",
        sa.Column("assignment_id", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("saved_at", sa.DateTime, nullable=False),
        sa.ForeignKeyConstraint(["assignment_id"], ["assignment.id"]),
        sa.PrimaryKeyConstraint("assignment_id"),
    )


def _skip() -> None:
    op.create_table(
        "skip",
        sa.Column("assignment_id", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint(
            "reason IN ('unclear', 'too_hard', 'upsetting', 'language', 'personal_data', 'broken', 'other')",
            name="skip_reason",
        ),
        sa.ForeignKeyConstraint(["assignment_id"], ["assignment.id"]),
        sa.PrimaryKeyConstraint("assignment_id"),
    )


def _turn() -> None:
    op.create_table(
        "turn",
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("item_id", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"]),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.PrimaryKeyConstraint("conversation_id", "number"),
        sa.UniqueConstraint("item_id"),
    )


def _adjudication() -> None:
    op.create_table(
        "adjudication",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("item_id", sa.Integer, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("response_id", sa.Integer, nullable=True),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint(
            "cause IN ('ambiguous', 'guideline_gap', 'labeler_error', 'model_error', 'equal', 'other')",
            name="adjudication_cause",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["response_id"], ["response.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("adjudication_item", "adjudication", ["item_id"])


def _appeal() -> None:
    op.create_table(
        "appeal",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("response_id", sa.Integer, nullable=False),
        sa.Column("labeler_id", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("decided_at", sa.DateTime, nullable=True),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="appeal_decided"),
        sa.CheckConstraint("state IN ('open', 'accepted', 'rejected')", name="appeal_state"),
        sa.ForeignKeyConstraint(["decided_by"], ["account.id"]),
        sa.ForeignKeyConstraint(["labeler_id"], ["labeler.id"]),
        sa.ForeignKeyConstraint(["response_id"], ["response.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("response_id"),
    )
    op.create_index("appeal_labeler", "appeal", ["labeler_id"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("labeler_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("response_id", sa.Integer, nullable=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("read_at", sa.DateTime, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["labeler_id"], ["labeler.id"]),
        sa.ForeignKeyConstraint(["response_id"], ["response.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("feedback_labeler", "feedback", ["labeler_id"])


def _response_part() -> None:
    op.create_table(
        "response_part",
        sa.Column("response_id", sa.Integer, nullable=False),
        sa.Column("said_key", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["response_id"], ["response.id"]),
        sa.PrimaryKeyConstraint("response_id", "said_key"),
    )
    op.create_index("response_part_said", "response_part", ["said_key"])


def _screening_result() -> None:
    op.create_table(
        "screening_result",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("labeler_id", sa.Text, nullable=False),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("response_id", sa.Integer, nullable=True),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint(
            "part IN ('training', 'sensitive', 'ranking', 'demonstration', 'topics', 'decision')", name="screening_part"
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["account.id"]),
        sa.ForeignKeyConstraint(["labeler_id"], ["labeler.id"]),
        sa.ForeignKeyConstraint(["response_id"], ["response.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("screening_result_labeler", "screening_result", ["labeler_id"])


def _written_prompt() -> None:
    op.create_table(
        "written_prompt",
        sa.Column("response_id", sa.Integer, nullable=False),
        sa.Column("prompt_id", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"]),
        sa.ForeignKeyConstraint(["response_id"], ["response.id"]),
        sa.PrimaryKeyConstraint("response_id"),
    )
    op.create_index("written_prompt_prompt", "written_prompt", ["prompt_id"])
