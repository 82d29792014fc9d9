"""The report: number formatting, HTML elements, sentences computed from tables, and the rendering of the page."""
