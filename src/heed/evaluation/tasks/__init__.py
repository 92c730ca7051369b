"""Tasks: questions with known answers, put to a model by the layouts of the papers that published them."""
