// Mail without a mail server: Communication Services with a domain that Azure manages.
@description('Name of the Communication Services resource.')
param communicationName string

@description('Name of the email service.')
param emailName string

@description('Tags of every resource.')
param tags object

@description('Where data is kept.')
param dataLocation string

@description('Principal id of the identity that sends.')
param backupPrincipalId string

// Communication and Email Service Owner, the one built-in role that may send.
var emailOwner = '09976791-48a7-449e-bb21-39d1a415f350'

module email 'br/public:avm/res/communication/email-service:0.4.5' = {
  name: 'email-service'
  params: {
    name: emailName
    tags: tags
    dataLocation: dataLocation
    domains: [
      {
        name: 'AzureManagedDomain'
        domainManagement: 'AzureManaged'
        userEngagementTracking: 'Disabled'
      }
    ]
  }
}

module communication 'br/public:avm/res/communication/communication-service:0.5.0' = {
  name: 'communication-service'
  params: {
    name: communicationName
    tags: tags
    dataLocation: dataLocation
    linkedDomains: email.outputs.domainResourceIds
    roleAssignments: [
      {
        roleDefinitionIdOrName: emailOwner
        principalId: backupPrincipalId
        principalType: 'ServicePrincipal'
      }
    ]
  }
}

output endpoint string = 'https://${communication.outputs.endpoint}'
output sender string = 'DoNotReply@${email.outputs.domainFromSenderDomains[0]}'
