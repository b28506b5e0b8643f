"""What conversations are written to and read from: Markdown, HTML, JSON, notebooks."""
