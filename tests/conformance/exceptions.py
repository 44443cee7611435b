"""The cases of scikit-learn's tests that we do not pass, and why: id of the case -> reason."""

EXCEPTIONS: dict[str, str] = {
}
