"""The labeling studio's half of the store: accounts, campaigns, the queue, screening, review, audit, privacy.

Each module holds one service, a small class made from a :class:`~heed.store.database.Store`; every method is one
transaction and speaks in records, never in rows.
"""
