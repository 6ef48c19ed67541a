"""The Gradio page. `spaces_app/app.py` starts it on the Hub, `samdistill web` here."""
