//! While a program has said too little for it to be served, its connection is worth nothing to anybody: it ends where its
//! place is wanted, and where the proxy stops.

use serve::Wanted;

use crate::app::App;

/// What the program says with its first words, unless its connection ends before.
pub(crate) async fn first<L, T>((app, wanted): (&App<L>, &Wanted), words: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        // What is here already is heard, whatever else happens.
        biased;
        words = words => Some(words),
        () = app.shutdown.begun() => None,
        () = wanted.waits() => {
            app.metrics.shed.add(1);
            None
        }
    }
}
