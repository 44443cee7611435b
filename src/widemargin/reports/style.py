"""The style of a page: light and dark as the reader's system has it, from 360 px up, printable."""

from widemargin.colours import COLOURS

CSS = (
    COLOURS
    + """\
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,
-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
header,main,footer{max-width:1000px;margin:0 auto;padding:0 16px}
header{padding-top:24px}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 10px}
h3{font-size:.95rem;margin:8px 0 6px;overflow-wrap:anywhere}
p{margin:0 0 10px;max-width:75ch;overflow-wrap:anywhere}
.muted,footer{color:var(--muted)}
nav{display:flex;flex-wrap:wrap;gap:2px 14px;margin:12px 0 0}
a{color:rgb(var(--one))}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px;
margin:16px 0;scroll-margin-top:8px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,140px),1fr));gap:10px;
margin:16px 0 0;padding:0}
.tiles>div{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:10px 14px}
.tiles dt{color:var(--muted);font-size:.82rem}
.tiles dd{margin:0;font-size:1.3rem;font-weight:600;white-space:nowrap;line-height:1.25;
font-variant-numeric:tabular-nums}
.tiles small{white-space:normal;display:block;font-size:.78rem;font-weight:400;color:var(--muted)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:20px;
margin-top:12px;
align-items:start}
.stack{display:grid;gap:16px}.stack>*{min-width:0}
.grid>*{min-width:0}
figure{margin:0;min-width:0}
figcaption{font-weight:600;font-size:.95rem;margin-bottom:2px}
svg{display:block;width:100%;height:auto;max-width:520px;overflow:visible}
svg text{font-size:10.5px;fill:var(--muted);font-variant-numeric:tabular-nums}
svg .name{font-size:11px}
@media(max-width:520px){svg text{font-size:12px}svg .name{font-size:12.5px}}
svg .note{fill:var(--ink);paint-order:stroke;stroke:var(--card);stroke-width:3px}
svg .rule{stroke:var(--rule);stroke-width:1}
svg .axis{stroke:var(--muted);stroke-width:1}
svg .mark{stroke:var(--ink);stroke-width:1;stroke-dasharray:4 3;opacity:.7}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .one{stroke:rgb(var(--one))}svg .two{stroke:rgb(var(--two))}
svg .ink{stroke:var(--ink)}svg .three{stroke:rgb(var(--good))}
svg .faint{stroke:var(--muted);stroke-width:1;stroke-dasharray:2 3}
svg .dot{stroke:var(--card);stroke-width:1}
svg .dot.one{fill:rgb(var(--one))}svg .dot.two{fill:rgb(var(--two))}
svg .dot.three{fill:rgb(var(--good))}
svg rect{fill:rgb(var(--one) / .75)}
svg rect.bad{fill:rgb(var(--bad) / .8)}svg rect.near{fill:rgb(var(--two) / .7)}
.legend{display:flex;flex-wrap:wrap;gap:0 14px;font-size:.82rem;color:var(--muted)}
.legend i{display:inline-block;width:12px;height:3px;margin-right:5px;vertical-align:middle;
background:rgb(var(--one))}
.legend .ink{background:var(--ink)}
.legend .two{background:rgb(var(--two))}.legend .three{background:rgb(var(--good))}
.legend .box{height:10px}.legend .bad{background:rgb(var(--bad) / .8)}
.legend .near{background:rgb(var(--two) / .7)}
.scroll{overflow-x:auto;width:fit-content;max-width:100%}
.tall{max-height:460px;overflow:auto}
table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}
th,td{padding:3px 10px 3px 0;text-align:right;border-bottom:1px solid var(--rule);
white-space:nowrap}
th{font-weight:600}
th:first-child{text-align:left;font-weight:500;max-width:16em;overflow:hidden;
text-overflow:ellipsis}
tbody th{position:sticky;left:0;background:var(--card)}
thead th{color:var(--muted);font-weight:500}
.barcell{text-align:left}.barcell{width:clamp(60px,14vw,200px);
min-width:clamp(60px,14vw,200px)}
.bar{display:block;height:10px;border-radius:2px;background:rgb(var(--one) / .75);min-width:1px}
.bar.two{background:rgb(var(--two) / .75)}
.confusion td,.confusion th{padding:3px 6px;border:1px solid var(--rule);max-width:9em;
overflow:hidden;text-overflow:ellipsis}
.confusion td:not([style]){color:var(--muted)}
.confusion td{background:rgb(var(--bad) / var(--s,0%))}
.confusion td.hit{background:rgb(var(--one) / var(--s,0%))}
.words{white-space:normal;text-align:left;line-height:1.7;min-width:240px}
.words span{display:inline-block;margin-right:12px}
.listing thead th:last-child{text-align:left}
.words small{color:var(--muted)}
dl{margin:0;max-width:640px}dl.tiles{max-width:none}
dl:not(.tiles)>div{display:flex;justify-content:space-between;gap:12px;border-bottom:1px solid
var(--rule);padding:3px 0;font-size:.9rem}
dl:not(.tiles) dt{color:var(--muted)}
dl:not(.tiles) dd{margin:0;text-align:right;white-space:nowrap;
font-variant-numeric:tabular-nums}
pre{margin:0 0 12px;padding:10px 12px;border:1px solid var(--rule);border-radius:8px;
background:var(--bg);white-space:pre-wrap;overflow-wrap:anywhere;user-select:all;
font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
details{margin-top:4px;font-size:.86rem}
summary{color:var(--muted);cursor:pointer}
summary:focus-visible,a:focus-visible,.scroll:focus-visible{outline:2px solid rgb(var(--one));
outline-offset:2px}
footer{padding-bottom:32px;font-size:.82rem}
@media print{nav,details{display:none}body{background:#fff;font-size:11px}
section,.tiles>div{border-color:#bbb;break-inside:avoid}figure,tr{break-inside:avoid}
.scroll,.tall{overflow:visible;max-height:none}.words{white-space:normal}}
"""
)
