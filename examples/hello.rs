//! The first steps: connect, write, read, and ask who serves what.
//!
//! ```sh
//! cargo run --example hello --features testkit                              # a cluster of our own
//! cargo run --example hello --features testkit -- redis://127.0.0.1:7000    # yours
//! ```

use panpipe::prelude::*;
use panpipe::testkit::EmbeddedCluster;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Serves as long as it lives.
    let embedded;
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => {
            embedded = EmbeddedCluster::builder().primaries(3).start()?;
            embedded.url()
        }
    };

    // One address is enough: the client learns the rest from the cluster.
    let mut client = Client::connect(&url)?;
    for node in client.nodes() {
        if let Some(endpoint) = node.endpoint.filter(|_| node.primary) {
            println!("{endpoint} serves slots {:?}", node.slots);
        }
    }

    client.set("hello:ada", "Lovelace")?;
    let name = client.get("hello:ada")?;
    let nobody = client.get("hello:nobody")?;
    println!("hello:ada is {name:?}, hello:nobody is {nobody:?}");
    assert_eq!(name.as_deref(), Some(b"Lovelace".as_slice()));
    assert_eq!(nobody, None, "a key that does not exist is None, not an error");

    // Any other command by its name; `key` says which arguments decide where it goes.
    let length: i64 = client.call(cmd("STRLEN").key("hello:ada"))?;
    assert_eq!(length, 8);
    assert_eq!(client.del(["hello:ada"])?, 1);
    Ok(())
}
