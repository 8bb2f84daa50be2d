//! What one node thinks of the cluster: its answer to CLUSTER NODES.
//! (<https://redis.io/docs/latest/commands/cluster-nodes/>)

/// One node's view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) nodes: Vec<ViewNode>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViewNode {
    pub(crate) id: String,
    pub(crate) port: u16,
    pub(crate) flags: Vec<String>,
    pub(crate) primary_id: Option<String>,
    pub(crate) config_epoch: u64,
    pub(crate) link_connected: bool,
    /// First and last slot of each range.
    pub(crate) slots: Vec<(u16, u16)>,
}

impl View {
    /// Panics on what is not an answer to CLUSTER NODES.
    pub(crate) fn parse(text: &str) -> View {
        let parse_line =
            |line: &str| parse_line(line).unwrap_or_else(|| panic!("not a line of CLUSTER NODES: {line:?}"));
        View { nodes: text.lines().map(parse_line).collect() }
    }

    /// The line of the node that was asked.
    pub(crate) fn myself(&self) -> &ViewNode {
        self.nodes.iter().find(|node| node.has_flag("myself")).expect("every node sees itself")
    }

    pub(crate) fn node(&self, id: &str) -> Option<&ViewNode> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Who owns what, in slot order: equal in two views that agree.
    pub(crate) fn owners(&self) -> Vec<(u16, u16, &str)> {
        let ranges = |node: &'_ ViewNode| node.slots.clone().into_iter();
        let mut owners: Vec<_> = self
            .nodes
            .iter()
            .flat_map(|node| ranges(node).map(|(first, last)| (first, last, node.id.as_str())))
            .collect();
        owners.sort_unstable();
        owners
    }

    /// How many slots have an owner.
    pub(crate) fn covered(&self) -> u32 {
        self.owners().iter().map(|(first, last, _)| u32::from(last - first) + 1).sum()
    }
}

impl ViewNode {
    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.has_flag("master")
    }

    pub(crate) fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }

    /// Known for good, connected, and not suspected of having failed.
    pub(crate) fn is_well(&self) -> bool {
        self.link_connected
            && !["fail", "fail?", "handshake", "noaddr"].iter().any(|flag| self.has_flag(flag))
    }
}

/// `<id> <ip:port@bus-port[,hostname…]> <flags> <primary> <ping> <pong> <epoch> <link> <slot>…`
fn parse_line(line: &str) -> Option<ViewNode> {
    let mut words = line.split(' ');
    let id = words.next()?.to_owned();
    let (address, _) = words.next()?.split_once('@')?;
    let port = address.rsplit_once(':')?.1.parse().ok()?;
    let flags = words.next()?.split(',').map(str::to_owned).collect();
    let primary_id = words.next().filter(|id| *id != "-").map(str::to_owned);
    let config_epoch = words.nth(2)?.parse().ok()?;
    let link_connected = words.next()? == "connected";
    let slots = words.filter(|word| !word.starts_with('[')).map(parse_range).collect::<Option<_>>()?;
    Some(ViewNode { id, port, flags, primary_id, config_epoch, link_connected, slots })
}

fn parse_range(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.parse().ok()?, last.parse().ok()?))
}
