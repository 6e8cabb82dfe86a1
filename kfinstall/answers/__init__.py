"""The answers: what the wizard fills and what `--answers` loads, one frozen model behind both."""
