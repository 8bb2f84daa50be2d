//! The kinds of fault, by name, and which kinds a run of each theme has.

macro_rules! faults {
    ($($name:ident = $text:literal,)*) => {
        /// Something that goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Fault {
            $(#[doc = $text] $name,)*
        }

        impl Fault {
            pub(crate) const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Fault::$name => $text,)*
                }
            }
        }
    };
}

faults! {
    BeginMigration = "a slot begins to migrate",
    MigrateKey = "a key migrates",
    FinishMigration = "a migration ends",
    CancelMigration = "a migration is called off",
    MoveSlot = "a slot moves in one step",
    PingPong = "a slot moves and its new owner does not know yet",
    StaleView = "a node hears no news",
    FailOver = "a replica takes over from its healthy primary",
    FailOverStale = "a replica takes over and the former primary does not know",
    FailOverDead = "a primary dies and its replica takes over",
    FailOverFrozen = "a primary stops and its replica takes over",
    HoldReplication = "a replica falls behind",
    Loading = "LOADING",
    ClusterDown = "CLUSTERDOWN for everything",
    ReadsOnly = "CLUSTERDOWN for writes",
    OutOfMemory = "OOM",
    Misconfigured = "MISCONF",
    NoReplicas = "NOREPLICAS",
    Busy = "BUSY",
    ReadOnly = "READONLY",
    PrimaryDown = "MASTERDOWN",
    TryAgain = "TRYAGAIN without a migration",
    BeforeExec = "a node begins to refuse between a command and EXEC",
    NoMulti = "a node refuses MULTI and runs what is behind it",
    Reset = "a connection is reset, what was sent arrives",
    LosingReset = "a connection is reset, what was sent arrives in part",
    LateReset = "a connection is lost, what was sent arrives much later",
    HalfClose = "a connection's replies end",
    Silence = "a connection's other end is gone",
    ServerClose = "the server resets a connection",
    ServerCloseAll = "the server resets all its connections",
    Refuse = "a node refuses connections",
    BlackHole = "a node does not answer connects",
    ClogToServer = "requests to a node are held up",
    ClogToClient = "replies of a node are held up",
    Freeze = "a node is stopped",
    Kill = "a node dies and comes back",
    SwapAddresses = "two nodes exchange their addresses",
    Push = "a push message",
    HostPause = "the client's machine pauses",
    Refresh = "the caller asks for the topology",
    ExtraReply = "a reply that answers nothing",
    LostAsking = "replies to ASKING get lost",
    LostReply = "a reply gets lost",
    StrayReply = "a reply that belongs to nobody",
}

impl Fault {
    /// Those of most runs: servers keep to the protocol.
    pub(crate) fn is_usual(self) -> bool {
        self < Fault::ExtraReply
    }

    /// A slot goes from one healthy node to another, once.
    pub(crate) fn is_hand_over(self) -> bool {
        matches!(
            self,
            Fault::BeginMigration
                | Fault::MigrateKey
                | Fault::FinishMigration
                | Fault::MoveSlot
                | Fault::PingPong
                | Fault::StaleView
                | Fault::Push
        )
    }

    /// Connections, and the nodes' processes.
    pub(crate) fn is_of_wires(self) -> bool {
        (Fault::Reset..=Fault::Kill).contains(&self) || self == Fault::HostPause
    }

    /// Replies get lost or come from nowhere, and connections break. No refusals: a client acts upon those at once, whosever they are.
    pub(crate) fn is_of_integrity(self) -> bool {
        matches!(
            self,
            Fault::LostReply
                | Fault::StrayReply
                | Fault::Reset
                | Fault::HalfClose
                | Fault::Push
                | Fault::HostPause
        )
    }

    /// Replies that are too many or too few, and what has to happen for that.
    pub(crate) fn is_of_replies(self) -> bool {
        matches!(
            self,
            Fault::ExtraReply | Fault::LostAsking | Fault::BeginMigration | Fault::MigrateKey | Fault::Reset
        )
    }
}
