"""A run on a cluster as its events tell it, on a page that follows it.

state      what is told of a run at one moment: plain values
timeline   from events to that state
parties    workers, shards and the coordinator: how each is, and was
deaths     who died, and how long it took to recover
progress   the commits that stand, and how fast they come
series     what happened per stretch of time, of bounded size however long the run
sources    where events come from: a run's folder, or whoever can say what is new
follow     a thread that keeps a timeline up to date
server     the page and its numbers, over HTTP
page       the page itself: page.html, page.css, page-charts.js, page.js
"""
