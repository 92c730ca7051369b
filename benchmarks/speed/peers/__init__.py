"""The other side of each measurement. These scripts run in environments without Heed, and import nothing of it."""
