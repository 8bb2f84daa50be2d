//! The engine's rules by name, each of which a test build can be told to break: a proof that tests see what a rule is for.
//!
//! Exists with the feature `testkit` only; without it every rule is kept, and asking costs nothing.

/// A rule of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A fence waits for the replies to what was in flight before it sends anything.
    Drain,
    /// After MOVED one command goes ahead alone.
    Probe,
    /// Held commands stand in the order of submission.
    SortedParking,
    /// A command whose later neighbour of the same key ran is not sent again.
    OvertakeTest,
    /// New commands of a fenced slot wait behind its fence.
    ParkNew,
    /// What the node has not begun to take comes back behind the fence.
    PullBack,
    /// An owner that changes in a view opens a fence where commands are in flight.
    FenceOnView,
    /// Commands for source and target of a migration take turns.
    Rounds,
    /// A command that waits after TRYAGAIN holds up those that share its keys.
    KeyBarrier,
    /// ASKING stands directly in front of its command.
    AskingAdjacent,
    /// A command given up after it was sent keeps its place in the queue of replies.
    Tombstone,
    /// A view says nothing about slots of which news came after it was asked for.
    LearnedAt,
    /// A reply that no command waits for closes the connection.
    ExtraReply,
    /// The reply to ASKING is checked.
    ShapeCheck,
    /// Nothing of a caller's is written before the handshake has been verified.
    ReleaseGate,
    /// A command that was sent whole and not answered is not sent again.
    UnknownIsFinal,
    /// A command that was not sent whole is not in doubt, and is sent again.
    NeverSent,
    /// A read is sent again only where no later write of its keys was on the wire.
    ReadBehindWrite,
    /// Redirects of one command are counted.
    HopsBound,
    /// Nodes that name each other are asked after pauses that grow.
    PingPongPause,
    /// The end of a lost connection's frame says whether the front command ran.
    ReplyBegun,
    /// An id that changed says that an address belongs to another node.
    NodeIdentity,
    /// A node that is silent for too long is given up.
    SilentLimit,
    /// A write in doubt is sent again only together with the later commands of its keys that were sent.
    RetryTogether,
    /// A command that was in doubt before it was sent again stays in doubt where that fails.
    DoubtStays,
    /// What a connection answers to a sentinel is what was sent.
    Sentinel,
    /// With `high_integrity` results are held until the sentinel behind them has come back.
    HighIntegrity,
    /// With `fenced_reconnect` the old connection is dead before anything is sent on the new one.
    FencedReconnect,
    /// Connections are made a few at a time, and those that are made again not too often.
    ConnectLimiter,
    /// What is said to commands within MULTI decides nothing before EXEC is answered.
    UnitWaits,
    /// A MOVED within MULTI holds the commands back that come after it.
    UnitFence,
    /// A unit shares keys with whoever shares one of any of its commands.
    UnitKeys,
}

impl Rule {
    /// All of them.
    pub const ALL: &'static [Rule] = &[
        Rule::Drain,
        Rule::Probe,
        Rule::SortedParking,
        Rule::OvertakeTest,
        Rule::ParkNew,
        Rule::PullBack,
        Rule::FenceOnView,
        Rule::Rounds,
        Rule::KeyBarrier,
        Rule::AskingAdjacent,
        Rule::Tombstone,
        Rule::LearnedAt,
        Rule::ExtraReply,
        Rule::ShapeCheck,
        Rule::ReleaseGate,
        Rule::UnknownIsFinal,
        Rule::NeverSent,
        Rule::ReadBehindWrite,
        Rule::HopsBound,
        Rule::PingPongPause,
        Rule::ReplyBegun,
        Rule::NodeIdentity,
        Rule::SilentLimit,
        Rule::RetryTogether,
        Rule::DoubtStays,
        Rule::Sentinel,
        Rule::HighIntegrity,
        Rule::FencedReconnect,
        Rule::ConnectLimiter,
        Rule::UnitWaits,
        Rule::UnitFence,
        Rule::UnitKeys,
    ];
}

/// The rules to break; none by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Broken(u64);

impl Broken {
    /// This rule alone.
    pub fn only(rule: Rule) -> Self {
        Broken(1 << rule as u64)
    }

    /// Whether the rule is kept.
    pub fn keeps(self, rule: Rule) -> bool {
        self.0 >> (rule as u64) & 1 == 0
    }
}
