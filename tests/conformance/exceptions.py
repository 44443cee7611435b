"""The cases of scikit-learn's tests that we do not pass, and why: pattern of the id -> reason."""

EXCEPTIONS = {
}
