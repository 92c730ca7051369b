"""What Alembic runs for every migration: our connection, our transaction."""

from alembic import context

from heed.store.schema import metadata
from heed.store.studio import tables as _studio  # noqa: F401 - adds its tables to the metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
