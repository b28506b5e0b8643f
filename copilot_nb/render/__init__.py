"""Transcripts and tables as HTML and plain text; the one place where untrusted text becomes markup."""
