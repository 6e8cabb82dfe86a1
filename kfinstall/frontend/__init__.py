"""What an interactive front end stands on: answers in the making, runs in the background, and what is seen of them. No terminal."""
