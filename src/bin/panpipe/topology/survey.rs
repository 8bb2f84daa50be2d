//! What the cluster says of its nodes, and what the nodes say when asked.

use std::collections::BTreeMap;
use std::time::Duration;

use panpipe::command::Route;
use panpipe::engine::NodeInfo;
use panpipe::resp::reply::ReplyRef;
use panpipe::topology::{Role, SnapshotNode, parse_nodes};
use panpipe::{Client, Endpoint, Ticket, cmd};

use crate::failure::Failure;

/// A node that is there answers PING sooner, connecting included.
const ANSWER_MS_MAX: u64 = 3_000;

/// All nodes, shard by shard, the primary first.
pub(super) struct Survey {
    pub(super) nodes: Vec<SurveyedNode>,
    /// Slots that no node serves, both ends included.
    pub(super) holes: Vec<(u16, u16)>,
}

/// One node.
pub(super) struct SurveyedNode {
    pub(super) id: String,
    pub(super) endpoint: Option<String>,
    pub(super) primary: bool,
    /// The id of the primary that it copies.
    pub(super) replicates: Option<String>,
    /// From 1, in the order of the slots.
    pub(super) shard: Option<usize>,
    pub(super) slots: Vec<(u16, u16)>,
    pub(super) answer: Answer,
}

/// How a node answered PING.
pub(super) enum Answer {
    After(Duration),
    Failed(String),
    /// It serves nothing, so clients leave it alone.
    NotAsked,
}

impl Survey {
    pub(super) fn of(client: &mut Client) -> Result<Self, Failure> {
        let infos = client.nodes();
        let endpoints: Vec<Endpoint> = infos.iter().filter_map(|info| info.endpoint.clone()).collect();
        // The first round opens the connections, the second tells how long an answer takes.
        let mut answers = ping(client, &endpoints)?;
        let alive: Vec<Endpoint> =
            endpoints.into_iter().filter(|node| matches!(answers[node], Answer::After(_))).collect();
        let listed = match alive.first() {
            Some(node) => list(client, node)?,
            None => Vec::new(),
        };
        answers.extend(ping(client, &alive)?);
        let mut nodes: Vec<SurveyedNode> =
            infos.into_iter().map(|info| SurveyedNode::in_service(info, &mut answers)).collect();
        for (node, primary_id) in listed {
            if nodes.iter().all(|known| known.id != node.id) {
                nodes.push(SurveyedNode::out_of_service(node, primary_id));
            }
        }
        Ok(Survey { nodes: sorted(nodes), holes: client.engine().uncovered_slots() })
    }

    pub(super) fn slots_served(&self) -> u32 {
        self.nodes.iter().map(SurveyedNode::slot_count).sum()
    }
}

impl SurveyedNode {
    fn in_service(info: NodeInfo, answers: &mut Answers) -> Self {
        let answer = info.endpoint.as_ref().and_then(|endpoint| answers.remove(endpoint));
        SurveyedNode {
            id: info.id,
            endpoint: info.endpoint.map(|endpoint| endpoint.to_string()),
            primary: info.primary,
            replicates: info.replicates,
            shard: None,
            slots: info.slots,
            answer: answer.unwrap_or_else(|| Answer::Failed("its address is not known".to_owned())),
        }
    }

    /// A node that the cluster lists and clients do not use.
    fn out_of_service(node: SnapshotNode, primary_id: String) -> Self {
        let primary = node.role == Role::Primary;
        let answer = if node.health_ok {
            Answer::NotAsked
        } else {
            Answer::Failed("the cluster takes it for failed".to_owned())
        };
        SurveyedNode {
            id: node.id,
            endpoint: node.endpoint.as_ref().map(ToString::to_string),
            primary,
            replicates: (!primary).then_some(primary_id),
            shard: None,
            slots: Vec::new(),
            answer,
        }
    }

    pub(super) fn address(&self) -> &str {
        self.endpoint.as_deref().unwrap_or("(no address)")
    }

    pub(super) fn slot_count(&self) -> u32 {
        self.slots.iter().map(|&(start, end)| u32::from(end) - u32::from(start) + 1).sum()
    }
}

type Answers = BTreeMap<Endpoint, Answer>;

/// Sends PING to all of these at once.
fn ping(client: &mut Client, nodes: &[Endpoint]) -> Result<Answers, Failure> {
    let timeout_ms = client.engine().config().command_timeout_ms.min(ANSWER_MS_MAX);
    let mut pipe = client.pipeline();
    pipe.deadline_ms(timeout_ms).with_timeline();
    let pings: Vec<Ticket<String>> =
        nodes.iter().map(|node| pipe.call(cmd("PING").route(Route::Node(node.clone())))).collect();
    let replies = pipe.flush().map_err(|error| Failure::from_library("PING", &error))?;
    let after = |node: &str| {
        let line = replies.timeline()?.nodes.iter().find(|line| line.node == node)?;
        line.first_back?.checked_sub(line.first_out?)
    };
    let answers = nodes.iter().zip(pings).map(|(node, ping)| {
        let name = node.to_string();
        let answer = match replies.get(ping) {
            Ok(_) => Answer::After(after(&name).unwrap_or_default()),
            Err(error) => {
                let reason = error.to_string();
                Answer::Failed(reason.strip_prefix(&format!("{name}: ")).unwrap_or(&reason).to_owned())
            }
        };
        (node.clone(), answer)
    });
    Ok(answers.collect())
}

/// All nodes that this one knows, each with the id of its shard's primary; none where it will not tell.
fn list(client: &mut Client, asked: &Endpoint) -> Result<Vec<(SnapshotNode, String)>, Failure> {
    let mut pipe = client.pipeline();
    let list: Ticket<Vec<u8>> = pipe.call(cmd("CLUSTER").arg("NODES").route(Route::Node(asked.clone())));
    let replies = pipe.flush().map_err(|error| Failure::from_library("CLUSTER NODES", &error))?;
    Ok(replies.reply(list).ok().and_then(|text| read_list(text, asked)).unwrap_or_default())
}

/// Reads CLUSTER NODES. A user that may not run it, or a proxy that does not know it, costs us only the nodes out of service.
fn read_list(text: ReplyRef<'_>, asked: &Endpoint) -> Option<Vec<(SnapshotNode, String)>> {
    let snapshot = parse_nodes(text.as_bytes()?, asked).ok()?;
    let primary_id = |node: &SnapshotNode| Some(snapshot.nodes.get(node.shard)?.id.clone());
    snapshot.nodes.iter().map(|node| Some((node.clone(), primary_id(node)?))).collect()
}

/// Numbers the shards in the order of their slots.
fn sorted(mut nodes: Vec<SurveyedNode>) -> Vec<SurveyedNode> {
    let mut shards: Vec<(u16, String)> =
        nodes.iter().filter_map(|node| Some((node.slots.first()?.0, node.id.clone()))).collect();
    shards.sort();
    for node in &mut nodes {
        let primary_id = node.replicates.as_ref().unwrap_or(&node.id);
        node.shard = shards.iter().position(|(_, id)| id == primary_id).map(|at| at + 1);
    }
    nodes.sort_by(|a, b| {
        let key = |node: &SurveyedNode| (node.shard.unwrap_or(usize::MAX), !node.primary);
        key(a).cmp(&key(b)).then_with(|| a.endpoint.cmp(&b.endpoint))
    });
    nodes
}
