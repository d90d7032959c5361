"""Write the golden files anew: only for a new version of a format, never to get a test
to pass.  `python -m tests.golden.regenerate`
"""

from tests.golden.samples import FOLDER, files, written

if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / f"{name}.hex").write_text(written(content))
