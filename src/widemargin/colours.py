"""The colours of all our pages, light and dark as the reader's system has it."""

COLOURS = """
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--ink:#191c20;--muted:#566070;--rule:#dce0e6;
--one:31 95 191;--two:194 80 10;--bad:190 40 55;--good:20 120 80}
@media screen and (prefers-color-scheme:dark){:root{--bg:#121519;--card:#1b1f25;--ink:#e7eaee;
--muted:#a0aab6;--rule:#323944;--one:112 170 255;--two:255 164 92;--bad:255 120 130;
--good:90 205 150}}
"""
