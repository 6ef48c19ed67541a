"""The bundled models, importable as `modeling_samdistill.bundled` so that a wheel carries them too."""
