"""Unicode's composed form of texts: two spellings that look the same are one text."""

import unicodedata


def composed(text: str) -> str:
    r"""Return a text in Unicode's composed form (NFC), in which an accent and its letter are one character.

    Programs and file systems differ in the form that they write.

    Example:
        >>> composed("Jose\u0301") == "Jos\u00e9"
        True
    """
    return unicodedata.normalize("NFC", text)
