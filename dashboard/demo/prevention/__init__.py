"""What prevents stampedes, one way a module: a stampede is when an entry that many ask for ends, and all of them load.

name        who loads what is not there      before its end             what it costs
none        everybody                        nothing                    a load for each reader
mutex       whoever has the lease            nothing                    the others wait
xfetch      everybody                        one reader, by chance      loads that came early
revalidate  whoever has the lease            nothing, but a stale       answers that are out of date by a grace
                                             entry is still served
"""

from __future__ import annotations
