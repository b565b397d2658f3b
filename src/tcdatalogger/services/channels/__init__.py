"""Where messages for people go: Discord, e-mail, ntfy, a webhook for programs."""
