"""What was made from people's work: frozen data sets, models, and the runs that made them."""

import sqlalchemy as sa
from alembic import op

from heed.store import dialect

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables of lineage."""
    _exports()
    _models()
    for table in ("export", "export_response", "export_prompt"):
        dialect.make_append_only(op.get_bind(), table)


def _exports() -> None:
    op.create_table(
        "export",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    for name in ("response", "prompt"):
        op.create_table(
            f"export_{name}",
            sa.Column("export_id", sa.Integer, sa.ForeignKey("export.id"), primary_key=True),
            sa.Column(f"{name}_id", sa.Integer, sa.ForeignKey(f"{name}.id"), primary_key=True),
        )
        op.create_index(f"export_{name}_{name}", f"export_{name}", [f"{name}_id"])


def _models() -> None:
    op.create_table(
        "model",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("parent_id", sa.Integer, sa.ForeignKey("model.id")),
        sa.Column("export_id", sa.Integer, sa.ForeignKey("export.id")),
        sa.Column("config_hash", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("code_version", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.CheckConstraint("parent_id <> id", name="model_parent"),
    )
    op.create_index("model_parent_index", "model", ["parent_id"])
    op.create_index("model_export", "model", ["export_id"])
    op.create_table(
        "model_use",
        sa.Column("model_id", sa.Integer, sa.ForeignKey("model.id"), primary_key=True),
        sa.Column("used_id", sa.Integer, sa.ForeignKey("model.id"), primary_key=True),
    )
    op.create_index("model_use_used", "model_use", ["used_id"])
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("config_hash", sa.Text, nullable=False),
        sa.Column("code_version", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name="run_state"),
        sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="run_ended"),
    )
