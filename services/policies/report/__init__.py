"""How a comparison looks: figures in words, a table for a terminal, an HTML page with plots. Nothing here works anything out."""
