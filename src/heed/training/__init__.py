"""The learners: ``pretrain``, ``sft``, ``reward_modeling`` and ``ppo``, and what they share.

Each is a plain function: built things in (models, batches, a Scorer), the trained model and its figures out. Their
loops look alike on purpose; the step, the schedules, the checkpoints and the mathematics exist once.
"""
