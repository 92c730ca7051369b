"""What a program stands on: device, seeds, progress, metrics. All of it is passed in as values; nothing is ambient."""
